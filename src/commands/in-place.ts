/**
 * `es:create --in-place`: a changed definition put into the version that is there.
 * @module
 */
import type { Definition } from '../search/definition.ts'
import { wayOf } from '../search/diff.ts'
import { changeInPlace, changesFor } from '../search/in-place.ts'
import { definitionOf, type LifecycleDeps } from '../search/lifecycle.ts'
import { findTargets } from '../search/targets.ts'
import { ways } from '../search/updateable.ts'
import { activeVersion, isNewestOf, type Version } from '../search/versions.ts'
import type { Base, Run } from './base.ts'
import { type ChangeOptions, changing, eachOf, tellNone, tellPlan } from './change.ts'

/**
 * Changes the active version of each named index (default: all that are defined), or the version that `name@N` or a physical
 * name stands for. Throws what `changeInPlace` does.
 */
export async function changeVersions(
  base: Base,
  within: Run | undefined,
  names: readonly string[],
  options: ChangeOptions,
): Promise<Version[]> {
  tellNone(options, base.definitions)
  for (const each of names) if (!/[@-]\d+$/.test(each)) definitionOf(base, each)
  const chosen = names.length > 0 ? names : base.definitions.map((each) => each.name)
  if (options.dryRun) return await tellPlan(base, options, () => plan(base, chosen))
  return await changing(
    base,
    within,
    'es:create --in-place',
    { ...options, target: chosen.join(' ') },
    async (deps) => {
      const versions = await findTargets(base, chosen)
      return await eachOf(versions, (each) => changeInPlace(deps, each, definitionOf(base, each.index)))
    },
  )
}

async function plan(base: Base, names: readonly string[]): Promise<string[]> {
  return await eachOf(await findTargets(base, names), async (version) => {
    const changes = await changesFor(base.needSearch(), version, definitionOf(base, version.index))
    if (changes.length === 0) return `${version.physical}: nothing to do`
    const list = changes.map((each) => each.path).join(', ')
    return wayOf(changes) === ways.inPlace
      ? `${version.physical}: would be changed in place: ${list}`
      : `${version.physical}: cannot be changed in place: ${list}`
  })
}

/** The active version of an index, where this definition could be put into it as it is. */
export async function inPlaceTarget(
  deps: Pick<LifecycleDeps, 'store' | 'prefix' | 'search'>,
  definition: Definition,
): Promise<Version | undefined> {
  const active = await activeVersion(deps, definition.name)
  if (!active || isNewestOf(active, definition)) return undefined
  const changes = await changesFor(deps.search, active, definition).catch(() => undefined)
  return changes?.every((each) => each.way === ways.inPlace) ? active : undefined
}

/** Tells where it would do to change the active version: that is faster than a new one. */
export async function offerInPlace(deps: LifecycleDeps, definition: Definition): Promise<void> {
  const version = await inPlaceTarget(deps, definition)
  if (!version) return
  deps.onLine(
    `${version.physical}: the change could be put in place: npx umzug es:create --in-place ${version.index}`,
  )
}
