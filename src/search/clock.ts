/**
 * The document clock: the external version of every document.
 * @module
 */
import type { Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'

/**
 * Draws one number, higher than any drawn before, in this database or one it was restored from.
 * It must be drawn after the claim and before the rows are read, in a statement of its own: then whoever read
 * something newer has a higher number. Committed to disk at once, whatever the session's setting:
 * a number must not be drawn again after a crash.
 */
export async function drawNumber(store: Store, on: Queryable = store.db): Promise<string> {
  const [row] = await on.query<{ n: string }>(
    `WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true) AS setting)
     UPDATE ${store.table.document_clock}
     SET n = greatest(n + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
     FROM durable WHERE durable.setting = 'on' RETURNING n`,
  )
  return row!.n
}
