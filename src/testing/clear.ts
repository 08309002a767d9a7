/**
 * Empties the indexes of a suite between two tests.
 * @module
 */
import type { Base } from '../commands/base.ts'
import { dropDeps } from '../commands/finish-drops.ts'
import { clearVersion } from '../search/clear.ts'
import { listVersions } from '../search/versions.ts'

/**
 * Forgets what was captured and is not at work yet, waits for what is, and deletes all documents of the active versions.
 * Changes that are committed meanwhile may stay.
 */
export async function clearSuite(base: Base, settled: () => Promise<void>): Promise<void> {
  const { store, prefix, definitions } = base
  if (definitions.length === 0) return
  // In this order: what leaves the one meanwhile is in the other.
  await store.db.query(`DELETE FROM ${store.table.changes}`)
  await store.db.query(`DELETE FROM ${store.table.pending} WHERE token IS NULL`)
  await settled()
  // Refused just now.
  await store.db.query(`DELETE FROM ${store.table.pending} WHERE due_at = 'infinity'`)
  const active = (await listVersions(store, prefix)).filter((each) => each.state === 'active')
  await Promise.all(active.map((each) => clearVersion(dropDeps(base, prefix, () => {}), each)))
}
