/**
 * `es:reset`: everything of an environment dropped, and built anew.
 * @module
 */
import { awaitRemoved, markDropped } from '../search/drop.ts'
import { converge, type Converged, definitionOf, mendActive } from '../search/lifecycle.ts'
import { checkCluster } from '../search/physical.ts'
import { listDropped, listVersions, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base, Run } from './base.ts'
import { type ChangeOptions, eachOf } from './change.ts'
import { fillRecorded } from './fill.ts'
import { dropDeps } from './finish-drops.ts'
import { lookNow } from './look.ts'

/** Drops all versions of the named indexes (default: all of this prefix) and builds them; see `IndexCommands.reset`. */
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
  const deps = base.lifecycle(run)
  await checkCluster(deps.search)
  await mendActive(deps)
  const versions = await chosenVersions(base, names)
  run.action.assertHeld()
  // The alias stays on the old version until the new one is active: its readers go on reading.
  await markDropped(store, versions.map((each) => each.id), true)
  for (const each of versions) run.say(`${each.physical}: ${each.state}, dropped`)
  await lookNow(base, run.say, run.signal)
  const definitions = definitionsOf(base, names)
  const converged = await converge({
    ...deps,
    definitions,
    fill: (version, definition) => fillRecorded(base, run, version, definition),
  }, true)
  const dropped = (await listDropped(store, prefix)).filter((each) => each.removedAt === null)
  if (waiting) await eachOf(dropped, (each) => awaitRemoved(dropDeps(base, prefix, run.say, run.signal), each))
  return converged
}

function planReset(base: Base, names: readonly string[], versions: readonly Version[]): string[] {
  return [
    ...versions.map((each) => `${each.physical}: ${each.state}, would be dropped`),
    ...definitionsOf(base, names).map((each) =>
      `a new version of ${base.prefix}${each.name}: would be created, populated, activated`
    ),
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
