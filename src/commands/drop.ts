/**
 * `es:drop`: versions taken out of service, and their physical indexes deleted.
 * @module
 */
import { awaitRemoved, type DropDeps, markDropped, unremovedVersions } from '../search/drop.ts'
import { type DropTargets, findDrops } from '../search/drop-targets.ts'
import { mendActive } from '../search/lifecycle.ts'
import { checkCluster } from '../search/physical.ts'
import { readAlias, readVersion, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base, Run } from './base.ts'
import { type ChangeOptions, eachAsPart, eachOf, recordedChoice } from './change.ts'
import { dropDeps } from './finish-drops.ts'
import { prefixOf, type PrefixOption } from './prefix.ts'

/** Options of `drop`. */
export interface DropOptions extends ChangeOptions, DropTargets, PrefixOption {}

/** Drops the chosen versions; see `IndexCommands.drop`. */
export async function dropVersions(
  base: Base,
  within: Run | undefined,
  names: readonly string[],
  options: DropOptions,
): Promise<Version[]> {
  await checkSchema(base.store)
  const prefix = await prefixOf(base, options.prefix)
  const found = await findDrops({ store: base.store, prefix }, names, options)
  if (options.dryRun) {
    for (const each of found) options.onLine?.(describeDrop(each))
    return found
  }
  const work = async (run: Run) => {
    const deps = dropDeps(base, prefix, run.say, run.signal)
    await checkCluster(deps.search)
    await mendActive({ ...base.lifecycle(run), prefix })
    const dropped = await mark(deps, await findDrops(deps, names, options), options.force)
    // A migration does not wait: whoever comes next deletes what it dropped.
    if (!within) await removeAll(deps, run)
    return await eachOf(dropped, (each) => readVersion(base.store, each.id))
  }
  if (within) return await work(within)
  return await base.run('es:drop', { ...options, ...recordedChoice(found, options) }, work)
}

/** What dropping a version means, in a line. */
export function describeDrop(version: Version): string {
  const alias = version.state === 'active' ? ` with the alias ${readAlias(version)}: its readers find nothing` : ''
  return `${version.physical}: ${version.state}, would be dropped${alias}`
}

async function mark({ store, onLine }: DropDeps, versions: Version[], force: boolean | undefined): Promise<Version[]> {
  const marked = await markDropped(store, versions.map((each) => each.id), force)
  const dropped = versions.filter((each) => marked.includes(each.id))
  for (const each of dropped) onLine(`${each.physical}: ${each.state}, dropped`)
  if (versions.length === 0) onLine('there is nothing to drop')
  return dropped
}

// Also those that a killed run or an activation has left.
async function removeAll(deps: DropDeps, run: Run): Promise<void> {
  await eachAsPart(
    run,
    'es:drop',
    await unremovedVersions(deps),
    (part, each) => awaitRemoved({ ...deps, onLine: part.say, signal: part.signal }, each),
  )
}
