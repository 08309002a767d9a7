/**
 * `es:activate`: the alias moved to another version.
 * @module
 */
import { activateVersion, findVersion, keepAlias, type LifecycleDeps } from '../search/lifecycle.ts'
import { readAlias, type Version } from '../search/versions.ts'
import type { Base, Run } from './base.ts'
import { type ChangeOptions, changing, eachOf, tellNone, tellPlan } from './change.ts'
import { lookNow } from './look.ts'

/** Points the alias at the named versions (default: all definitions); see `IndexCommands.activate`. */
export async function activateVersions(
  base: Base,
  within: Run | undefined,
  targets: readonly string[],
  options: ChangeOptions,
): Promise<Version[]> {
  const chosen = targets.length > 0 ? targets : base.definitions.map((each) => each.name)
  tellNone(options, chosen)
  if (options.dryRun) return await tellPlan(base, options, () => planActivate(base, chosen))
  return await changing(base, within, 'es:activate', options, async (deps) => {
    await lookNow(base, deps.onLine, deps.signal)
    return await eachOf(chosen, (each) => activate(deps, each))
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

async function activate(deps: LifecycleDeps, target: string): Promise<Version> {
  const version = await findVersion(deps, target)
  if (version.state !== 'active') await activateVersion(deps, version)
  else if (!(await keepAlias(deps, version))) deps.onLine(`${version.physical}: already active`)
  return version
}
