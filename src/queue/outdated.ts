/**
 * Documents that older code wrote into a version that was changed in place since: newer code writes them again.
 *
 * Old and new code serve such a version side by side through a rolling deploy, and a document by old code lacks what is new.
 * Its key is kept in the statement that settles it, so at every moment the last writer of a document was newer code, or its
 * key is in `pending` or in `outdated`.
 * @module
 */
import { mergePending } from '../store/dispatch.ts'
import type { Store } from '../store/store.ts'
import { markNow } from './changes.ts'

/**
 * SQL of the part of settling that keeps them: of `held (key, unmoved)`, of version `$1`, written by code whose definition has
 * the hash `hash`. That the version has another one by now counts, whatever the process knew when it claimed the keys.
 */
export function keepOutdated({ table }: Store, hash: string): string {
  return `outdated AS (
       INSERT INTO ${table.outdated} (version_id, key)
       SELECT $1, h.key FROM held h WHERE h.unmoved
         AND EXISTS (SELECT FROM ${table.index_versions} v WHERE v.id = $1 AND v.hash <> ${hash})
         AND NOT EXISTS (SELECT FROM ${table.outdated} o WHERE o.version_id = $1 AND o.key = h.key))`
}

/** What is taken at once. */
const pageSize = 5_000

/**
 * Enqueues the keys that older code wrote of versions that this code has the newest definition of. Old workers may claim
 * them once more, and then they are kept once more: it ends when old code does. Gives their number.
 */
export async function takeOutdated(
  store: Store,
  served: readonly { version: { id: string }; hash?: string | undefined }[],
): Promise<number> {
  let taken = 0
  for (const { version, hash } of served) {
    if (hash === undefined) continue
    for (let page = pageSize; page === pageSize; taken += page) page = await takePage(store, version.id, hash)
  }
  return taken
}

// Keys in order, as a dispatch locks them: two of them cannot wait for each other.
async function takePage(store: Store, versionId: string, hash: string): Promise<number> {
  const { db, table } = store
  const kept = `SELECT FROM ${table.outdated} WHERE version_id = $1`
  const [found] = await db.query<{ found: boolean }>(`SELECT EXISTS (${kept}) AS found`, [versionId])
  if (!found!.found) return 0
  const rows = await db.query(
    `WITH taken AS (
       DELETE FROM ${table.outdated} o WHERE o.version_id = $1 AND o.key IN (
         SELECT x.key FROM ${table.outdated} x WHERE x.version_id = $1 AND EXISTS (
           SELECT FROM ${table.index_versions} v WHERE v.id = $1 AND v.hash = $2 AND v.state <> 'dropped')
         ORDER BY x.key LIMIT ${pageSize} FOR UPDATE SKIP LOCKED) RETURNING o.key)
     INSERT INTO ${table.pending} AS p (version_id, key, oldest_change)
     SELECT $1, key, $3 FROM taken ORDER BY key
     ${mergePending} RETURNING p.key`,
    [versionId, hash, await markNow(store)],
  )
  return rows.length
}
