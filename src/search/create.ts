/**
 * Creates versions.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { assertAliasFree } from './aliases.ts'
import { recordMaking } from './copy-source.ts'
import { type Definition, snapshotOf } from './definition.ts'
import { refreshDependencies } from './dependencies.ts'
import type { LifecycleDeps } from './lifecycle.ts'
import { unregisterVersion } from './forget.ts'
import { createPhysical } from './physical.ts'
import { isMadeFrom, listVersions, registerVersion, type Version } from './versions.ts'

/** The newest version made from a definition, if there is one that was not given up. */
export async function versionOf(
  deps: Pick<LifecycleDeps, 'store' | 'prefix'>,
  definition: Definition,
): Promise<Version | undefined> {
  const versions = await listVersions(deps.store, deps.prefix)
  return versions.filter((each) => isMadeFrom(each, definition))
    .filter((each) => each.abandonedAt === null).at(-1)
}

/**
 * Creates a version of the definition, unless there is one. A refused mapping leaves nothing registered; a crash in
 * between leaves a version without physical index, which the next call makes.
 */
export async function createVersion(
  deps: LifecycleDeps,
  definition: Definition,
  force: boolean = false,
): Promise<Version> {
  const existing = force ? undefined : await versionOf(deps, definition)
  if (existing) {
    if (await refreshDependencies(deps, existing, definition)) deps.onLine(`${existing.physical}: is read anew`)
    if (existing.state === 'created') await createPhysical(deps.search, existing, deps.leaseMs)
    return existing
  }
  await assertAliasFree(deps.search, { prefix: deps.prefix, index: definition.name })
  const dependencies = await definition.source.dependencies(deps.store.db)
  // From its registration on, whatever it needs of a changed row has to be recorded.
  await deps.prepareCapture(dependencies)
  // What a version will read anyway need not go to it as a change: rows that migrations wrote, say.
  await deps.dispatched()
  const version = await registerVersion(deps.store, {
    prefix: deps.prefix,
    name: definition.name,
    hash: definition.hash,
    definition: snapshotOf(definition),
    dependencies,
    tag: deps.tag,
  })
  try {
    await createPhysical(deps.search, version, deps.leaseMs)
  } catch (error) {
    // Only a refusal is certain: after anything else the index may come to exist, and the next run goes on with it.
    if (error instanceof ElasticUmzugError && error.code === 'MAPPING_REFUSED') {
      await unregisterVersion(deps.store, version.id)
    }
    throw error
  }
  await recordMaking(deps.store, version.id, definition)
  deps.onLine(`${version.physical}: created`)
  return version
}
