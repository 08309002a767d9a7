/**
 * The document clock: the external version of every document.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'

/**
 * Rule 7 of the protocol: draws one number, higher than any drawn before, in this database or one it was restored from.
 * It must be drawn after the claim and before the rows are read, in a statement of its own: then whoever read
 * something newer has a higher number. Committed to disk at once, whatever the session's setting:
 * a number must not be drawn again after a crash.
 */
export async function drawNumber(store: Store, on: Queryable = store.db): Promise<string> {
  const [row] = await on.query<{ n: string }>(drawing(store))
  return row!.n
}

/** SQL that draws one number as `n`: a statement of its own, or one with parts before it, and a condition on them. */
export function drawing({ table }: Store, before: string = '', condition: string = ''): string {
  return `WITH ${before}durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true) AS setting)
     UPDATE ${table.document_clock}
     SET n = greatest(n + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
     FROM durable WHERE durable.setting = 'on'${condition} RETURNING n`
}

/** The number that would be drawn now: whoever draws later has none below it. */
export async function peekNumber(store: Store, on: Queryable = store.db): Promise<bigint> {
  const [row] = await on.query<{ n: string }>(
    `SELECT greatest(n + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS n FROM ${store.table.document_clock}`,
  )
  return BigInt(row!.n)
}

/** Beyond what was seen, in microseconds: numbers that a lost database drew in its last hour, or read with rounding. */
const slack = 3_600_000_000n

/** The highest that is lifted over: Elasticsearch takes no version above 2^63 - 2. */
const highestSeen = 2n ** 62n

/**
 * Lifts the clock over a number that was seen on a document, in one statement: every number drawn after it is higher.
 * Two that lift at once, or one that lifts while another draws, cannot take it back. Throws `VERIFY_FAILED` for a number
 * that leaves none to draw.
 */
export async function liftClock(store: Store, seen: bigint): Promise<void> {
  if (seen > highestSeen) {
    throw new ElasticUmzugError('VERIFY_FAILED', `A document has version ${seen}: there is no room above it.`, {
      next: 'build its index anew: npx umzug es:create NAME --force, then npx umzug up',
    })
  }
  await store.db.query(
    `WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true) AS setting)
     UPDATE ${store.table.document_clock} SET n = greatest(n, $1::bigint) FROM durable WHERE durable.setting = 'on'`,
    [String(seen + slack)],
  )
}
