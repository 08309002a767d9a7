/**
 * `es:create`: a new version where the definition changed.
 * @module
 */
import { createVersion, type LifecycleDeps, versionOf } from '../search/lifecycle.ts'
import type { Definition } from '../search/definition.ts'
import type { Version } from '../search/versions.ts'
import type { Base, Run } from './base.ts'
import { type ChangeOptions, changing, eachOf, named, tellNone, tellPlan } from './change.ts'
import { changeVersions, offerInPlace } from './in-place.ts'
import { planIndexes } from './plan-indexes.ts'
import { restoreVersions } from './restore.ts'

/** Options of commands that may create a version. */
export interface CreateOptions extends ChangeOptions {
  /** Makes another version although there is one of the same definition. */
  force?: boolean
  /** Changes the active version, or the one that is named, instead of making another. Throws where that is not possible. */
  inPlace?: boolean
  /**
   * Makes the lost physical indexes of the named versions (default: all there are, of whatever code) anew, from their stored
   * definitions. They are empty and have to be filled. Those that are there are compared with their definitions.
   */
  restore?: boolean
}

/** Creates a version for each named definition (default: all) that has none; see `IndexCommands.create`. */
export async function createVersions(
  base: Base,
  within: Run | undefined,
  names: readonly string[],
  options: CreateOptions,
): Promise<Version[]> {
  if (options.restore) return await restoreVersions(base, within, names, options)
  if (options.inPlace) return await changeVersions(base, within, names, options)
  const definitions = named(base, names)
  tellNone(options, definitions)
  if (options.dryRun) {
    return await tellPlan(base, options, () => planIndexes(base, definitions, ['created'], options.force))
  }
  return await changing(
    base,
    within,
    'es:create',
    options,
    (deps) => eachOf(definitions, (each) => create(deps, each, options.force)),
  )
}

async function create(deps: LifecycleDeps, definition: Definition, force: boolean | undefined): Promise<Version> {
  const existing = force ? undefined : await versionOf(deps, definition)
  if (existing) deps.onLine(`${existing.physical}: ${existing.state}, the definition did not change`)
  else if (!force) await offerInPlace(deps, definition)
  return await createVersion(deps, definition, force)
}
