/**
 * `es:reset`: everything of an environment built anew, and what was there before dropped.
 * @module
 */
import { awaitRemoved, markDropped, unremovedVersions } from '../search/drop.ts'
import type { Definition } from '../search/definition.ts'
import {
  activateVersion,
  type Converged,
  createVersion,
  definitionOf,
  type LifecycleDeps,
  mendActive,
} from '../search/lifecycle.ts'
import { checkCluster } from '../search/physical.ts'
import { listVersions, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base, Run } from './base.ts'
import { type ChangeOptions, eachOf } from './change.ts'
import { fillRecorded } from './fill.ts'
import { dropDeps } from './finish-drops.ts'
import { lookNow } from './look.ts'

/**
 * Builds the named indexes (default: all of this prefix) anew and drops the versions they had; see `IndexCommands.reset`. Killed
 * before that, `up` goes on with the new version, and the same again begins another one.
 */
export async function resetIndexes(
  base: Base,
  within: Run | undefined,
  names: readonly string[],
  options: ChangeOptions,
): Promise<Converged[]> {
  await checkSchema(base.store)
  const versions = await chosenVersions(base, names)
  if (options.dryRun) {
    for (const line of planReset(base, names, versions)) options.onLine?.(line)
    return []
  }
  const work = (run: Run) => reset(base, run, names, within === undefined)
  if (within) return await work(within)
  return await base.run('es:reset', { ...options, target: names.join(' ') || null, options: { names } }, work)
}

async function reset(base: Base, run: Run, names: readonly string[], waiting: boolean): Promise<Converged[]> {
  const { store, prefix } = base
  // Nothing of the old versions is taken over: what is wrong with them may be the reason for all this.
  const deps = { ...base.lifecycle(run), copy: false }
  await checkCluster(deps.search)
  await mendActive(deps)
  await lookNow(base, run.say, run.signal)
  const versions = await chosenVersions(base, names)
  // The old versions get every change until the new one is active: readers go on with them, however long that takes.
  const built = await eachOf(definitionsOf(base, names), (each) => build(base, run, deps, each))
  run.action.assertHeld()
  await markDropped(store, versions.map((each) => each.id), true)
  for (const each of versions) run.say(`${each.physical}: dropped`)
  const dropped = await unremovedVersions(base)
  if (waiting) await eachOf(dropped, (each) => awaitRemoved(dropDeps(base, prefix, run.say, run.signal), each))
  return built
}

async function build(base: Base, run: Run, deps: LifecycleDeps, definition: Definition): Promise<Converged> {
  const created = await createVersion(deps, definition, true)
  const version = await fillRecorded(base, run, created, definition, { copy: false })
  await activateVersion(deps, version)
  return { index: definition.name, version: version.number, outcome: 'activated' }
}

function planReset(base: Base, names: readonly string[], versions: readonly Version[]): string[] {
  return [
    ...definitionsOf(base, names).map((each) =>
      `a new version of ${base.prefix}${each.name}: would be created, populated, activated`
    ),
    ...versions.map((each) => `${each.physical}: ${each.state}, would be dropped`),
  ]
}

async function chosenVersions(base: Base, names: readonly string[]): Promise<Version[]> {
  const versions = await listVersions(base.store, base.prefix)
  // An index that no code defines any more can be named too.
  for (const each of names) if (!versions.some(({ index }) => index === each)) definitionOf(base, each)
  return names.length === 0 ? versions : versions.filter((each) => names.includes(each.index))
}

function definitionsOf({ definitions }: Base, names: readonly string[]) {
  return names.length === 0 ? definitions : definitions.filter((each) => names.includes(each.name))
}
