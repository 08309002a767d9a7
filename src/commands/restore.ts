/**
 * `es:create --restore`: lost physical indexes made anew.
 * @module
 */
import { restoreVersion } from '../search/restore.ts'
import { chooseWhole } from '../search/targets.ts'
import { listVersions, readVersion, type Version } from '../search/versions.ts'
import type { Base, Run } from './base.ts'
import { type ChangeOptions, changing, eachOf, tellPlan } from './change.ts'
import { listStatus } from './list.ts'

/** Makes the lost indexes of the named versions (default: all of this prefix) anew; see `CreateOptions.restore`. */
export async function restoreVersions(
  base: Base,
  within: Run | undefined,
  names: readonly string[],
  options: ChangeOptions,
): Promise<Version[]> {
  if (options.dryRun) return await tellPlan(base, options, () => plan(base, names))
  return await changing(
    base,
    within,
    'es:create',
    { ...options, options: { restore: true, names } },
    async (deps, run) => {
      const versions = await listVersions(base.store, base.prefix)
      const chosen = names.length === 0 ? versions : await chooseWhole(base, versions, names)
      if (chosen.length === 0) deps.onLine('there is no version to restore')
      const restored = await eachOf(chosen, async (each) => {
        run.action.assertHeld()
        return await restoreVersion(deps, each) ? [await readVersion(base.store, each.id)] : []
      })
      return restored.flat()
    },
  )
}

async function plan(base: Base, names: readonly string[]): Promise<string[]> {
  const versions = await listStatus(base, names)
  return versions.map((each) =>
    each.lost ? `${each.physical}: would be made anew, empty` : `${each.physical}: is there, nothing to do`
  )
}
