/**
 * Fills a version until it is ready: populate, drain, re-apply deletes, verify.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { pointDefinitionAlias } from './aliases.ts'
import type { Definition } from './definition.ts'
import type { LifecycleDeps } from './lifecycle.ts'
import { beginLoad, endLoad } from './durable.ts'
import { assertPhysical, createPhysical } from './physical.ts'
import { populate, stopped } from './populate.ts'
import { clearPopulate } from './ranges.ts'
import { reapplyDeletes } from './reapply.ts'
import { restoreSettings } from './settings.ts'
import { verify } from './verify.ts'
import { awaitWriters } from './writers.ts'
import { abortedKeys, moveVersion, readVersion, requestSweep, retryAborted, type Version } from './versions.ts'

/**
 * Populates and verifies a version until it is ready; goes on where an interrupted run stopped. Versions that are
 * ready or further are given back as they are.
 */
export async function fillVersion(deps: LifecycleDeps, start: Version, definition: Definition): Promise<Version> {
  const { search } = deps
  if (start.state !== 'created' && start.state !== 'populating') return start
  if (start.state === 'created') {
    await createPhysical(search, start, deps.leaseMs)
    await awaitWriters(deps, start)
  }
  await assertPhysical(search, start)
  await moveVersion(deps.store, start.id, ['created'], 'populating')
  const version = await readVersion(deps.store, start.id)
  try {
    return await complete(deps, version, definition)
  } catch (error) {
    // Nobody knows when it is gone on with; a cluster that does not answer is not waited for.
    await restoreSettings(search, version, 5_000).catch(() => {})
    throw error
  }
}

async function complete(deps: LifecycleDeps, version: Version, definition: Definition): Promise<Version> {
  const { store, search } = deps
  await loadRows(deps, version, definition)
  await retryAborted(store, version.id, deps.maxAttempts)
  await catchUp(deps, version)
  if (await requestSweep(store, version.id)) await catchUp(deps, version)
  await reapplyDeletes(deps, version, definition.source)
  const counts = await verify({ ...deps, drain: () => catchUp(deps, version) }, version, definition.source)
  await pointDefinitionAlias(search, version)
  deps.assertHeld()
  await moveVersion(store, version.id, ['populating'], 'ready')
  await clearPopulate(store, version.id)
  deps.onLine(`${version.physical}: ready, ${counts.documents} documents`)
  deps.emitter.emit('version:state:changed', { index: version.index, version: version.number, state: 'ready' })
  return await readVersion(store, version.id)
}

async function loadRows(deps: LifecycleDeps, version: Version, { source }: Definition): Promise<void> {
  const { store, signal, assertHeld, workers, load } = deps
  const expected = await source.count(store.db)
  await store.db.query(`UPDATE ${store.table.index_versions} SET rows_expected = $2 WHERE id = $1`, [
    version.id,
    expected,
  ])
  deps.onLine(`${version.physical}: populating ${expected} rows`)
  do {
    await beginLoad(deps, version)
    await populate(deps, { version, source, workers, load, expected, signal, assertHeld })
  } while (!await endLoad(deps, version))
}

/** Waits until every key that was captured until now is written. Throws `STOPPED` or `DOCUMENT_REFUSED`. */
export async function catchUp(deps: LifecycleDeps, version: Version): Promise<void> {
  const { aborted } = await deps.drain(version)
  if (deps.signal?.aborted) throw stopped(version)
  deps.assertHeld()
  if (aborted > 0) throw await refusedDocuments(deps, version, aborted)
}

async function refusedDocuments(
  { store }: LifecycleDeps,
  version: Version,
  aborted: number,
): Promise<ElasticUmzugError> {
  const first = (await abortedKeys(store, version.id)).map(({ key, reason }) => `\n  ${key}: ${reason}`).join('')
  return new ElasticUmzugError(
    'DOCUMENT_REFUSED',
    `${version.physical} lacks ${aborted} documents that were refused:${first}`,
    {
      next: `correct the rows, or the mappings or the source of index "${version.index}", then: npx umzug up`,
    },
  )
}
