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

/**
 * Carries out the waiting sweeps of the served versions that nobody else is at, one after another, until the signal. One
 * that fails (its index is lost or closed) is emitted as `queue:worker:error` and stays. Gives the number of sweeps.
 */
export async function sweep(deps: ProcessDeps, served: readonly Served[], signal?: AbortSignal): Promise<number> {
  let done = 0
  for (const waiting of await waitingSweeps(deps, served)) {
    if (signal?.aborted) break
    const { version } = served.find((each) => each.version.id === waiting.versionId)!
    try {
      if (await sweepOne(deps, version, waiting, signal)) done++
    } catch (error) {
      deps.emitter.emit('queue:worker:error', { error })
    }
  }
  return done
}

async function sweepOne(
  deps: ProcessDeps,
  version: Version,
  waiting: Sweep,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { table, db } = deps.store
  const session = await openSession(deps.store)
  try {
    if (!(await session.tryLock(lockName(waiting.id)))) return false
    // Others may have carried it out since it was listed.
    if ((await db.query(`SELECT FROM ${table.changes} WHERE id = $1`, [waiting.id])).length === 0) return false
    if (!(await enqueueDocuments(deps, version, waiting, signal))) return false
    // Only now: a crash or a stop before leaves the row, and the sweep begins again.
    await db.query(`DELETE FROM ${table.changes} WHERE id = $1`, [waiting.id])
    return true
  } finally {
    await session.close()
  }
}

const lockName = (id: string) => `sweep.${id}`

async function waitingSweeps({ store }: ProcessDeps, served: readonly Served[]): Promise<Sweep[]> {
  if (served.length === 0) return []
  return await store.db.query<Sweep>(
    `SELECT c.id, c.version_id AS "versionId", coalesce(c.origin, c.id) AS origin, to_json(c.made_at) #>> '{}' AS "madeAt"
     FROM ${store.table.changes} c
     WHERE c.sweep AND c.version_id = ANY ($2::bigint[]) AND NOT ${isHeld('$1', "'sweep.' || c.id")}
     ORDER BY c.id`,
    [store.schema, served.map((each) => each.version.id)],
  )
}

// Page by page, each committed at once: a sweep of millions must not keep the dispatch of other changes waiting. False when
// the signal ended it.
async function enqueueDocuments(
  deps: ProcessDeps,
  version: Version,
  { origin, madeAt }: Sweep,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for await (const keys of documentKeys(deps.search, writeAlias(version))) {
    if (signal?.aborted) return false
    await enqueue(deps.store, version.id, keys, { origin, madeAt })
  }
  return true
}
