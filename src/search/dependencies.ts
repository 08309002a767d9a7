/**
 * What a version depends on, kept as its source says now.
 * @module
 */
import type { Dependency, Queryable } from '../ports.ts'
import { dispatchLock } from '../store/dispatch.ts'
import type { Store } from '../store/store.ts'
import { canonicalJson, type Definition } from './definition.ts'
import { drawRevision } from './revisions.ts'
import type { Version } from './versions.ts'
import { awaitWriters, type WriterDeps } from './writers.ts'

/** What keeping dependencies needs. */
export interface RefreshDeps extends WriterDeps {
  /** Called before a version depends on these: has triggers record what they need. */
  prepareCapture(dependencies: readonly Dependency[]): Promise<void>
}

/**
 * Stores the dependencies of a version anew where they changed: a migration renames a column or changes its type
 * without any change of the mappings. What was dispatched by the old ones may have missed documents, so where other
 * columns are read, or the old ones failed, every key is enqueued again. True when that was needed.
 * A run that is killed or stopped (`STOPPED`) half-way leaves on record that it must be gone on with; the next one does.
 */
export async function refreshDependencies(
  deps: RefreshDeps,
  version: Version,
  { source, hash }: Definition,
): Promise<boolean> {
  // It was changed in place for newer code, which may read more.
  if (version.olderHashes.includes(hash)) return false
  const { store } = deps
  const wanted = await source.dependencies(store.db)
  const { isSame, isStale, awaitsWriters } = await compare(store, version, wanted)
  if (!isSame) await deps.prepareCapture(wanted)
  if (!isSame) await store.db.transaction((tx) => replace(store, tx, version, wanted, isStale))
  if (!isStale && !awaitsWriters) return false
  // Until every process records what is read now, a row may change unseen: so once more after that.
  await awaitWriters(deps, version)
  await store.db.transaction(async (tx) => {
    await enqueueAll(store, tx, version, wanted)
    await tx.query(`UPDATE ${store.table.index_versions} SET awaits_writers = false WHERE id = $1`, [version.id])
  })
  return true
}

async function compare({ db, table }: Store, { id }: Version, wanted: readonly Dependency[]) {
  const [row] = await db.query<{ known: Dependency[]; error: string | null; state: string; awaitsWriters: boolean }>(
    `SELECT dependencies AS known, dependency_error AS error, state, awaits_writers AS "awaitsWriters"
     FROM ${table.index_versions} WHERE id = $1`,
    [id],
  )
  const { known, error, state, awaitsWriters } = row!
  const isSame = error === null && canonicalJson(known) === canonicalJson(wanted)
  // Before its first row is read there is nothing to bring up to date, and whoever populates it waits for writers.
  const isStale = state !== 'created' && (error !== null || readBy(known) !== readBy(wanted))
  return { isSame, isStale, awaitsWriters }
}

// Tables, and columns read and recorded, whatever the order and the SQL that finds the keys.
function readBy(dependencies: readonly Dependency[]): string {
  return dependencies.map(({ table, columns, capture }) =>
    canonicalJson({ table, columns: [...columns].sort(), capture: [...capture ?? []].sort() })
  ).sort().join()
}

// A dispatch under way would hand on pages under the old numbers of the dependencies, so it is waited for.
async function replace(
  store: Store,
  tx: Queryable,
  version: Version,
  wanted: readonly Dependency[],
  isStale: boolean,
): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(${dispatchLock(store)})`)
  await tx.query(
    `UPDATE ${store.table.index_versions} SET dependencies = $2::jsonb, dependency_error = NULL, revision = $3,
       awaits_writers = awaits_writers OR $4
     WHERE id = $1`,
    [version.id, JSON.stringify(wanted), await drawRevision(store, tx), isStale],
  )
  await tx.query(
    `UPDATE ${store.table.changes} SET dependency = NULL, cursor = NULL WHERE version_id = $1 AND dependency IS NOT NULL`,
    [version.id],
  )
  if (isStale) await enqueueAll(store, tx, version, wanted)
}

async function enqueueAll(store: Store, on: Queryable, { id }: Version, wanted: readonly Dependency[]): Promise<void> {
  const own = [...new Set(wanted.filter((each) => each.own).map((each) => each.table))].sort()
  await on.query(`INSERT INTO ${store.table.changes} (table_name, version_id) SELECT unnest($1::text[]), $2`, [own, id])
}
