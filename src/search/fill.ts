/**
 * Fills a version until it is ready: populate, drain, re-apply deletes, verify.
 * @module
 */
import { isOwnError } from '../errors.ts'
import { pointDefinitionAlias } from './aliases.ts'
import { copyDocuments, forgetCopy } from './copy.ts'
import { copySource } from './copy-source.ts'
import type { Definition } from './definition.ts'
import type { LifecycleDeps } from './lifecycle.ts'
import { assertNotDropped } from './drop.ts'
import { beginLoad, endLoad } from './durable.ts'
import { assertPhysical, createPhysical } from './physical.ts'
import { populate, stopped } from './populate.ts'
import { clearPopulate, rangeProgress } from './ranges.ts'
import { reapplyDeletes } from './reapply.ts'
import { refusedDocuments } from './refused.ts'
import { assertRoom } from './room.ts'
import { restoreSettings } from './settings.ts'
import { verifyCopy } from './verify-copy.ts'
import { type Counts, verify } from './verify.ts'
import { awaitWriters } from './writers.ts'
import { isUnfilled, moveVersion, readVersion, requestSweep, retryAborted, type Version } from './versions.ts'

/**
 * Populates and verifies a version until it is ready; goes on where an interrupted run stopped. Versions that are
 * ready or further are given back as they are.
 */
export async function fillVersion(deps: LifecycleDeps, start: Version, definition: Definition): Promise<Version> {
  const { search } = deps
  if (!isUnfilled(start)) return start
  if (start.state === 'created') {
    await createPhysical(search, start, deps.leaseMs)
    await assertNotDropped(deps.store, start)
    await awaitWriters(deps, start)
  }
  await assertPhysical(search, start)
  await moveVersion(deps.store, start.id, ['created'], 'populating')
  const version = await readVersion(deps.store, start.id)
  try {
    return await complete(deps, version, definition)
  } catch (error) {
    await assertNotDropped(deps.store, version)
    // Nobody knows when it is gone on with; a cluster that does not answer is not waited for.
    await restoreSettings(search, version, 5_000).catch(() => {})
    throw error
  }
}

async function complete(deps: LifecycleDeps, version: Version, definition: Definition): Promise<Version> {
  const from = await copySource(deps, version, definition)
  if (!from) await forgetCopy(deps, version)
  const filled = await fillFrom(deps, version, definition, from).catch((error) => {
    // What is wrong with the copied version would be copied again and again.
    if (!from || !isOwnError(error) || error.code !== 'VERIFY_FAILED') throw error
    deps.onLine(`${version.physical}: ${from.physical} differs from its rows, so they are read: ${error.message}`)
    return undefined
  })
  if (filled) return await finish(deps, version, filled)
  await forgetCopy(deps, version)
  return await finish(deps, version, await fillFrom(deps, version, definition, undefined))
}

async function fillFrom(
  deps: LifecycleDeps,
  version: Version,
  definition: Definition,
  from: Version | undefined,
): Promise<Counts> {
  const { store } = deps
  const { source } = definition
  await loadDocuments(deps, version, definition, from)
  await retryAborted(store, version.id, deps.maxAttempts)
  await catchUp(deps, version)
  if (await requestSweep(store, version.id)) await catchUp(deps, version)
  await reapplyDeletes(deps, version, source)
  const drain = () => catchUp(deps, version)
  const counts = await verify({ ...deps, drain }, version, source)
  if (from) await verifyCopy({ ...deps, drain }, version, source)
  return counts
}

async function finish(deps: LifecycleDeps, version: Version, counts: Counts): Promise<Version> {
  const { store, search } = deps
  await pointDefinitionAlias(search, version)
  deps.assertHeld()
  if (!(await moveVersion(store, version.id, ['populating'], 'ready'))) await assertNotDropped(store, version)
  await clearPopulate(store, version.id)
  deps.onLine(`${version.physical}: ready, ${counts.documents} documents`)
  deps.emitter.emit('version:state:changed', { index: version.index, version: version.number, state: 'ready' })
  return await readVersion(store, version.id)
}

async function loadDocuments(
  deps: LifecycleDeps,
  version: Version,
  { source }: Definition,
  from: Version | undefined,
): Promise<void> {
  const { store, signal, assertHeld, workers, load } = deps
  const expected = await (source.countRows?.(store.db) ?? source.count(store.db))
  await store.db.query(`UPDATE ${store.table.index_versions} SET rows_expected = $2 WHERE id = $1`, [
    version.id,
    expected,
  ])
  const { documents } = await rangeProgress(store, version.id)
  if (!deps.force) await assertRoom(deps, version, source, Math.max(0, expected - documents))
  deps.onLine(`${version.physical}: ${from ? `copying ${from.physical},` : 'populating'} ${expected} rows`)
  const options = { version, workers, load, expected, signal, assertHeld }
  do {
    await beginLoad(deps, version)
    if (from) await copyDocuments(deps, { ...options, from })
    else await populate(deps, { ...options, source })
    await assertNotDropped(store, version)
  } while (!await endLoad(deps, version))
}

/** Waits until every key that was captured until now is written. Throws `STOPPED` or `DOCUMENT_REFUSED`. */
export async function catchUp(deps: LifecycleDeps, version: Version): Promise<void> {
  const { aborted } = await deps.drain(version)
  if (deps.signal?.aborted) throw stopped(version)
  deps.assertHeld()
  if (aborted > 0) throw await refusedDocuments(deps.store, version, aborted, 'npx umzug up')
}
