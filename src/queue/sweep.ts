/**
 * After a TRUNCATE the keys of the rows are known to the index only: a sweep enqueues every document it holds.
 * @module
 */
import { documentKeys } from '../search/keys.ts'
import { type Version, writeAlias } from '../search/versions.ts'
import { isHeld, openSession } from '../store/lock.ts'
import { enqueue } from './pending.ts'
import type { ProcessDeps, Served } from './process.ts'

interface Sweep {
  id: string
  versionId: string
  origin: string
  madeAt: string
}

/** Carries out one waiting sweep of the served versions that nobody else is at. Gives the number of sweeps. */
export async function sweep(deps: ProcessDeps, served: readonly Served[]): Promise<number> {
  const waiting = await nextSweep(deps, served)
  if (!waiting) return 0
  const { version } = served.find((each) => each.version.id === waiting.versionId)!
  const session = await openSession(deps.store)
  try {
    if (!(await session.tryLock(lockName(waiting.id)))) return 0
    await enqueueDocuments(deps, version, waiting)
    // Only now: a crash before leaves the row, and the sweep begins again.
    await deps.store.db.query(`DELETE FROM ${deps.store.table.changes} WHERE id = $1`, [waiting.id])
    return 1
  } finally {
    await session.close()
  }
}

const lockName = (id: string) => `sweep.${id}`

async function nextSweep({ store }: ProcessDeps, served: readonly Served[]): Promise<Sweep | undefined> {
  if (served.length === 0) return undefined
  const [row] = await store.db.query<Sweep>(
    `SELECT c.id, c.version_id AS "versionId", coalesce(c.origin, c.id) AS origin, c.made_at AS "madeAt"
     FROM ${store.table.changes} c
     WHERE c.sweep AND c.version_id = ANY ($2::bigint[]) AND NOT ${isHeld('$1', "'sweep.' || c.id")}
     ORDER BY c.id LIMIT 1`,
    [store.schema, served.map((each) => each.version.id)],
  )
  return row
}

// Page by page, each committed at once: a sweep of millions must not keep the dispatch of other changes waiting.
async function enqueueDocuments(deps: ProcessDeps, version: Version, { origin, madeAt }: Sweep): Promise<void> {
  for await (const keys of documentKeys(deps.search, writeAlias(version))) {
    await enqueue(deps.store, version.id, keys, { origin, madeAt })
  }
}
