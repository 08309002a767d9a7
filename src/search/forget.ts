/**
 * What is kept for versions that are gone.
 * @module
 */
import type { Store } from '../store/store.ts'

/**
 * Forgets a version whose physical index was never made. What a crash leaves of it, `forgetGone` deletes. Not in one
 * transaction: a dispatch under way locks the version and its pending rows too, and the two could wait for each other.
 */
export async function unregisterVersion(store: Store, id: string): Promise<void> {
  await store.db.query(`DELETE FROM ${store.table.index_versions} WHERE id = $1 AND state = 'created'`, [id])
  await forgetGone(store)
}

/** Most rows that one statement forgets: it holds their locks. */
const forgetRows = 10_000

/**
 * Deletes what is kept for versions that are gone or given up: a dispatch under way at that moment may have added more.
 * Claims that have not run out are left (rule 10: their requests may be under way), and rows that somebody else has locked.
 */
export async function forgetGone({ db, table }: Store): Promise<void> {
  const gone = `NOT EXISTS (
    SELECT FROM ${table.index_versions} v WHERE v.id = x.version_id AND v.state <> 'dropped' AND v.abandoned_at IS NULL)`
  const versions = await db.query<{ id: string }>(
    // From one version to the next, however many rows each has.
    `WITH RECURSIVE kept (id) AS (
       SELECT min(version_id) FROM ${table.pending}
       UNION ALL
       SELECT (SELECT min(version_id) FROM ${table.pending} p WHERE p.version_id > kept.id) FROM kept WHERE kept.id IS NOT NULL)
     SELECT x.version_id AS id FROM (SELECT id AS version_id FROM kept WHERE id IS NOT NULL) x WHERE ${gone}`,
  )
  for (const { id } of versions) while (await forgetSome({ db, table }, id) === forgetRows);
  await db.query(`DELETE FROM ${table.changes} x WHERE version_id IS NOT NULL AND ${gone}`)
  await db.query(`DELETE FROM ${table.populate_ranges} x WHERE expires_at <= clock_timestamp() AND ${gone}`)
  await db.query(`DELETE FROM ${table.populate_deletes} x WHERE ${gone}`)
  await db.query(`DELETE FROM ${table.outdated} x WHERE ${gone}`)
}

async function forgetSome({ db, table }: Pick<Store, 'db' | 'table'>, versionId: string): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    `WITH free AS MATERIALIZED (
       SELECT key FROM ${table.pending}
       WHERE version_id = $1 AND (token IS NULL OR due_at <= clock_timestamp()) LIMIT $2 FOR UPDATE SKIP LOCKED),
     forgotten AS (DELETE FROM ${table.pending} p USING free WHERE p.version_id = $1 AND p.key = free.key RETURNING p.key)
     SELECT count(*)::int AS count FROM forgotten`,
    [versionId, forgetRows],
  )
  return row!.count
}
