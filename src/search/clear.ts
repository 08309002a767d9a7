/**
 * Takes every document out of a version, and keeps its index.
 *
 * Elasticsearch's own delete by query counts up the version that a document has, and that may be the number which a
 * worker has drawn already for the next change of it: its write would be taken for an old one, and lost. So deletes carry a
 * number drawn before the documents are listed: what is read after that has a higher one, and stands.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Clock, SearchClient } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { deleteLine, sendBulk } from './bulk.ts'
import { drawNumber } from './clock.ts'
import { documentVersions, type Numbered } from './keys.ts'
import { assertPhysical, countDocuments, refresh } from './physical.ts'
import { resetRanges } from './ranges.ts'
import { type Version, type VersionState, writeAlias } from './versions.ts'

/** What clearing needs. */
export interface ClearDeps {
  store: Store
  search: SearchClient
  clock: Clock
  leaseMs: number
  onLine(line: string): void
  signal?: AbortSignal | undefined
}

/**
 * Sets a version back to `created`, so that nobody activates it before it was filled anew. Pages of a populate under way
 * are waited for by the next one. False where it was in none of the states. Under the run lock; a crash in between leaves a
 * populate that begins anew.
 */
export async function restartFill(store: Store, id: string, from: readonly VersionState[]): Promise<boolean> {
  await resetRanges(store, id)
  const rows = await store.db.query(
    `UPDATE ${store.table.index_versions} SET state = 'created', ready_at = NULL, rows_expected = NULL
     WHERE id = $1 AND state = ANY ($2) RETURNING id`,
    [id, from],
  )
  return rows.length > 0
}

/**
 * Deletes the documents of a version; one that is not active is to be filled anew. Documents of rows that are written
 * meanwhile stand. Gives how many were deleted. Killed or stopped, the same again goes on. Throws `VERSION_NOT_READY` where
 * the index is gone, `STOPPED`.
 */
export async function clearVersion(deps: ClearDeps, version: Version): Promise<number> {
  const { store, search } = deps
  await assertPhysical(search, version)
  await restartFill(store, version.id, ['populating', 'ready', 'retired'])
  // Rule 8 of the protocol: draw, then look.
  const number = await drawNumber(store)
  let deleted = 0
  for await (const documents of documentVersions(search, version.physical)) {
    while (!(await deleteAll(deps, version, documents, number))) await pause(deps, version)
    deleted += documents.length
    if (deps.signal?.aborted) throw stopped(version)
  }
  await refresh(search, version.physical)
  const left = await countDocuments(search, version.physical) ?? 0
  const newer = left > 0 ? `; ${left} were written meanwhile` : ''
  deps.onLine(`${version.physical}: cleared of ${deleted} documents${newer}`)
  return deleted
}

// False where it is to be sent again: a late copy of a delete never beats a newer document.
async function deleteAll(
  { search, leaseMs }: ClearDeps,
  version: Version,
  documents: readonly Numbered[],
  number: string,
): Promise<boolean> {
  const body = documents.map(({ key, routing }) => deleteLine(key, number, routing)).join('')
  const outcome = await sendBulk(search, writeAlias(version), body, leaseMs)
  const refusal = outcome.kind === 'refused' ? outcome : outcome.kind === 'answered' ? outcome.refusals[0] : undefined
  if (refusal && refusal.status !== 429 && refusal.status < 500) {
    throw new ElasticUmzugError(
      'SEARCH_FAILED',
      `Elasticsearch refused deletes in ${version.physical}: ${refusal.reason}`,
      {
        next: 'correct what it names, then run the same command again',
      },
    )
  }
  return outcome.kind === 'answered' && outcome.refusals.length === 0
}

const retryMs = 500

async function pause({ clock, signal }: ClearDeps, version: Version): Promise<void> {
  await clock.sleep(retryMs, signal)
  if (signal?.aborted) throw stopped(version)
}

function stopped({ physical }: Version): ElasticUmzugError {
  return new ElasticUmzugError('STOPPED', `Clearing ${physical} was stopped; some of its documents are deleted.`, {
    next: 'run the same command again',
  })
}
