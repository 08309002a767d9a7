/**
 * `es:update`: versions filled until they are ready.
 * @module
 */
import { createVersion, type LifecycleDeps } from '../search/lifecycle.ts'
import type { Definition } from '../search/definition.ts'
import type { Version } from '../search/versions.ts'
import type { Base, Run } from './base.ts'
import { type ChangeOptions, changing, eachOf, named, tellNone, tellPlan } from './change.ts'
import { fillRecorded } from './fill.ts'
import { planIndexes } from './plan-indexes.ts'

/** Populates and verifies the newest version of each named definition (default: all); see `IndexCommands.update`. */
export async function updateVersions(
  base: Base,
  within: Run | undefined,
  names: readonly string[],
  options: ChangeOptions,
): Promise<Version[]> {
  const definitions = named(base, names)
  tellNone(options, definitions)
  if (options.dryRun) {
    return await tellPlan(base, options, () => planIndexes(base, definitions, ['created', 'populated']))
  }
  return await changing(
    base,
    within,
    'es:update',
    options,
    (deps, run) => eachOf(definitions, (each) => update(base, run, deps, each)),
  )
}

async function update(base: Base, run: Run, deps: LifecycleDeps, definition: Definition): Promise<Version> {
  const version = await createVersion(deps, definition)
  const isDone = version.state !== 'created' && version.state !== 'populating'
  if (isDone) deps.onLine(`${version.physical}: ${version.state}, nothing to do`)
  return await fillRecorded(base, run, version, definition)
}
