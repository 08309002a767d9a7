/**
 * Applies again the deletes that workers made while a version was populated.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Source } from '../ports.ts'
import { deleteLine, sendBulk } from './bulk.ts'
import { drawNumber } from './clock.ts'
import { type PopulateDeps, stopped } from './populate.ts'
import { type Version, writeAlias } from './versions.ts'

const pageSize = 1_000

/** What re-applying needs. */
export interface ReapplyDeps extends PopulateDeps {
  signal?: AbortSignal | undefined
}

/**
 * Rule 8 of the protocol. A page that was read before a row was deleted may have arrived after the worker's delete, when the cluster had
 * forgotten it. Every page is written by now, so: draw, read, delete what is absent. A key that was inserted again
 * meanwhile is either read here, or its document has a higher number. Run again after a crash, it does the same.
 */
export async function reapplyDeletes(deps: ReapplyDeps, version: Version, source: Source): Promise<number> {
  const { store } = deps
  let after = ''
  let total = 0
  for (;;) {
    const rows = await store.db.query<{ key: string }>(
      `SELECT key FROM ${store.table.populate_deletes} WHERE version_id = $1 AND key > $2 ORDER BY key LIMIT $3`,
      [version.id, after, pageSize],
    )
    if (rows.length === 0) return total
    const keys = rows.map((each) => each.key)
    while (!(await deleteAbsent(deps, version, source, keys))) {
      await deps.clock.sleep(500, deps.signal)
      if (deps.signal?.aborted) throw stopped(version)
    }
    after = keys[keys.length - 1]!
    total += keys.length
  }
}

async function deleteAbsent(deps: PopulateDeps, version: Version, source: Source, keys: string[]): Promise<boolean> {
  const number = await drawNumber(deps.store)
  const read = await source.byKeys(deps.store.db, keys, number)
  const present = new Set([...read.keys, ...(read.failed ?? []).map((each) => each.key)])
  const absent = keys.filter((key) => !present.has(key))
  if (absent.length === 0) return true
  const body = absent.map((key) => deleteLine(key, number, source.routing?.(key))).join('')
  // Rule 8: the answer is awaited. Without one it is sent again at once: a late copy of a delete never beats a newer document.
  const outcome = await sendBulk(deps.search, writeAlias(version), body, deps.leaseMs)
  const refusal = outcome.kind === 'refused' ? outcome : outcome.kind === 'answered' ? outcome.refusals[0] : undefined
  if (refusal && refusal.status !== 429 && refusal.status < 500) {
    throw new ElasticUmzugError(
      'SEARCH_FAILED',
      `Elasticsearch refused deletes in ${version.physical}: ${refusal.reason}`,
      {
        next: 'npx umzug up',
      },
    )
  }
  return outcome.kind === 'answered' && outcome.refusals.length === 0
}
