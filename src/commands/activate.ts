/**
 * `es:activate`: the alias moved to another version.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { activateVersion, findVersion, keepAlias, type LifecycleDeps } from '../search/lifecycle.ts'
import { dropSuperfluous } from '../search/superfluous.ts'
import { isComplete, listVersions, readAlias, readVersion, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base, CommandOptions, Run } from './base.ts'
import { type ChangeOptions, changing, eachOf, tellNone, tellPlan } from './change.ts'
import { lookNow } from './look.ts'

/** Options of `activate`. */
export interface ActivateOptions extends ChangeOptions {
  /** Takes a version although it is incomplete, behind, or may differ from its rows; what it lacks is told. */
  force?: boolean
  /** Waits until somebody has filled the newest version, or the one that is named. */
  whenReady?: boolean
}

/** Points the alias at the named versions (default: all definitions); see `IndexCommands.activate`. */
export async function activateVersions(
  base: Base,
  within: Run | undefined,
  targets: readonly string[],
  options: ActivateOptions,
): Promise<Version[]> {
  const chosen = targets.length > 0 ? targets : base.definitions.map((each) => each.name)
  tellNone(options, chosen)
  if (options.dryRun) return await tellPlan(base, options, () => planActivate(base, chosen))
  // Before the run lock is taken: whoever fills the version needs it.
  const named = options.whenReady ? await eachOf(chosen, (each) => awaitReady(base, within, each, options)) : chosen
  return await changing(base, within, 'es:activate', options, async (deps) => {
    await lookNow(base, deps.onLine, deps.signal)
    const activated = await eachOf(named, async (each) => {
      const version = await activate(deps, each, options.force)
      await base.tellTag(version, deps.onLine)
      return version
    })
    await dropSuperfluous(deps)
    return activated
  })
}

const pollMs = 250

// Gives the name of the version that got ready: a newer one may be begun meanwhile.
async function awaitReady(
  base: Base,
  within: Run | undefined,
  target: string,
  { onLine, signal }: CommandOptions,
): Promise<string> {
  await checkSchema(base.store)
  const { clock } = base.runtime
  let version = await newestOf(base, target)
  if (within && !isComplete(version)) throw endless(version)
  if (!isComplete(version)) onLine?.(`${version.physical}: ${version.state}; waiting until it is ready`)
  while (!isComplete(version)) {
    if (version.state === 'dropped') throw gone(version)
    await clock.sleep(pollMs, signal)
    if (signal?.aborted) throw stoppedWaiting(version)
    version = await readVersion(base.store, version.id)
  }
  return `${version.index}@${version.number}`
}

// Without a number the newest one is meant, also where an older one is complete already.
async function newestOf(base: Base, target: string): Promise<Version> {
  const found = await findVersion(base, target)
  if (found.index !== target) return found
  return (await listVersions(base.store, base.prefix)).filter((each) => each.index === target).at(-1)!
}

// A migration holds the run lock, and whoever fills the version would wait for that.
function endless({ physical, index, state }: Version): ElasticUmzugError {
  return new ElasticUmzugError(
    'VERSION_NOT_READY',
    `${physical} is ${state}, and cannot get ready during a migration.`,
    {
      next:
        `fill it before (npx umzug es:update ${index}), or in the migration: await context.elastic.update(['${index}'])`,
    },
  )
}

function gone({ physical, index }: Version): ElasticUmzugError {
  return new ElasticUmzugError('VERSION_NOT_READY', `${physical} was dropped while it was waited for.`, {
    next: `npx umzug es:update ${index}`,
  })
}

function stoppedWaiting({ physical, state }: Version): ElasticUmzugError {
  return new ElasticUmzugError('STOPPED', `Stopped while ${physical} was ${state}: the alias was not moved.`, {
    next: 'run the same command again',
  })
}

async function planActivate(base: Base, targets: readonly string[]): Promise<string[]> {
  return await eachOf(targets, async (target) => {
    const version = await findVersion(base, target)
    return version.state === 'active'
      ? `${version.physical}: active, nothing to do`
      : `${version.physical}: ${version.state}, the alias ${readAlias(version)} would point at it`
  })
}

async function activate(deps: LifecycleDeps, target: string, force: boolean | undefined): Promise<Version> {
  const version = await findVersion(deps, target)
  if (version.state !== 'active') await activateVersion(deps, version, force)
  else if (!(await keepAlias(deps, version))) deps.onLine(`${version.physical}: already active`)
  return version
}
