/**
 * `es:clear`: versions without their documents.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { clearVersion } from '../search/clear.ts'
import { mendActive } from '../search/lifecycle.ts'
import { checkCluster } from '../search/physical.ts'
import { assertChosen, findTargets, type TargetOptions } from '../search/targets.ts'
import { readAlias, readVersion, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base, Run } from './base.ts'
import { type ChangeOptions, eachAsPart, recordedChoice } from './change.ts'
import { dropDeps } from './finish-drops.ts'
import { prefixOf, type PrefixOption } from './prefix.ts'

/** Options of `clear`. */
export interface ClearVersionsOptions extends ChangeOptions, TargetOptions, PrefixOption {
  /** Takes the active version too: its readers find nothing until it is filled again. */
  force?: boolean
}

/** Deletes the documents of the chosen versions; see `IndexCommands.clear`. */
export async function clearVersions(
  base: Base,
  within: Run | undefined,
  names: readonly string[],
  options: ClearVersionsOptions,
): Promise<Version[]> {
  await checkSchema(base.store)
  assertChosen(names, options, {
    what: 'clear',
    next: 'npx umzug es:list shows them; npx umzug es:clear NAME@N clears one',
  })
  const prefix = await prefixOf(base, options.prefix)
  const find = () => findCleared(base, prefix, names, options)
  const found = await find()
  if (options.dryRun) {
    for (const each of found) options.onLine?.(describeClear(each))
    return found
  }
  const work = async (run: Run) => {
    await checkCluster(base.needSearch())
    await mendActive({ ...base.lifecycle(run), prefix })
    const versions = await find()
    if (versions.length === 0) run.say('there is nothing to clear')
    return await eachAsPart(run, 'es:clear', versions, (part, each) => clear(base, part, each))
  }
  if (within) return await work(within)
  return await base.run('es:clear', { ...options, ...recordedChoice(found, options) }, work)
}

async function clear(base: Base, run: Run, version: Version): Promise<Version> {
  run.action.assertHeld()
  const deleted = await clearVersion(dropDeps(base, version.prefix, run.say, run.signal), version)
  run.action.count('deleted', deleted)
  const { index, number, state } = version
  run.say(
    state === 'active'
      ? `${version.physical}: stays active; npx umzug es:verify ${index}@${number} --repair fills it again`
      : `${version.physical}: is to be filled again: npx umzug es:update ${index}@${number}`,
  )
  return await readVersion(base.store, version.id)
}

function describeClear({ physical, state }: Version): string {
  const readers = state === 'active'
    ? ': its readers find nothing'
    : ', and it would be created again, to be filled anew'
  return `${physical}: ${state}, all its documents would be deleted${readers}`
}

async function findCleared(
  { store }: Base,
  prefix: string,
  names: readonly string[],
  { force, ...options }: ClearVersionsOptions,
): Promise<Version[]> {
  const found = await findTargets({ store, prefix }, names, options)
  const active = found.find((each) => each.state === 'active')
  if (!active || force) return found
  throw new ElasticUmzugError(
    'COMMAND_INVALID',
    `${active.physical} is the active version: the readers of ${readAlias(active)} would find nothing.`,
    { next: `npx umzug es:clear ${active.index}@${active.number} --force` },
  )
}
