/**
 * Committed changes: dispatching them, and the order in which they were captured.
 * @module
 */
import type { Store } from '../store/store.ts'

/** Most changes and rows of one dispatch, and keys of one page of a change that many documents show. */
const size = { changes: 500, rows: 5_000, page: 5_000 }

/** Moves committed changes into pending; gives how many, -1 when another process is at it. */
export async function dispatch(store: Store): Promise<number> {
  const sql = `SELECT ${store.name('dispatch')}($1, $2, $3) AS taken`
  const [row] = await store.db.query<{ taken: number }>(sql, [size.changes, size.rows, size.page])
  return row!.taken
}

/**
 * A mark behind every change committed until now: its number was drawn before it was committed, so it is not above
 * the highest number drawn.
 */
export async function markNow(store: Store): Promise<string> {
  const sql = `SELECT last_value FROM ${store.name('changes_id_seq')}`
  return (await store.db.query<{ last_value: string }>(sql))[0]!.last_value
}

/** What is not processed yet of all that was captured up to a mark. */
export interface Unprocessed {
  changes: number
  pending: number
  aborted: number
}

/**
 * Counts, in one statement, the changes and the pending rows of some versions up to a mark. Two statements could
 * miss a change that is dispatched between them.
 */
export async function unprocessed(store: Store, versionIds: readonly string[], mark: string): Promise<Unprocessed> {
  const [row] = await store.db.query<Unprocessed>(
    `SELECT
       (SELECT count(*)::int FROM ${store.table.changes} c WHERE coalesce(c.origin, c.id) <= $2
         AND (c.version_id IS NULL OR c.version_id = ANY ($1::bigint[]))) AS changes,
       (SELECT count(*)::int FROM ${store.table.pending} p WHERE p.version_id = ANY ($1::bigint[])
         AND p.oldest_change <= $2 AND p.aborted_at IS NULL) AS pending,
       (SELECT count(*)::int FROM ${store.table.pending} p WHERE p.version_id = ANY ($1::bigint[])
         AND p.aborted_at IS NOT NULL) AS aborted`,
    [versionIds, mark],
  )
  return row!
}
