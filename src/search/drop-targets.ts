/**
 * Which versions are to be dropped: the words of `targets.ts`, and what is refused without force.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import {
  assertChosen,
  assertTargets,
  chooseTargets,
  chooseWhole,
  isNamed,
  type TargetDeps,
  type TargetOptions,
} from './targets.ts'
import { listDropped, listVersions, readAlias, type Version } from './versions.ts'

/** Which versions to drop. */
export interface DropTargets extends TargetOptions {
  /** Takes the active version, all versions of an index, or all there are. */
  force?: boolean
}

/**
 * The versions that names and options choose, in the order of index and number. A bare name means all its versions; `older`
 * and `newer` leave out the active one. What is dropped already is passed over. Throws `COMMAND_INVALID` for what needs
 * force, and as `findTargets`.
 */
export async function findDrops(
  deps: TargetDeps,
  given: readonly string[],
  options: DropTargets,
): Promise<Version[]> {
  assertTargets(given, options)
  assertChosen(given, options, {
    what: 'drop',
    next:
      'npx umzug es:list shows them; npx umzug es:drop NAME@N drops one, npx umzug es:drop NAME --older all before the active one',
  })
  const versions = await listVersions(deps.store, deps.prefix)
  const names = await withoutDropped(deps, versions, given)
  if (given.length > 0 && names.length === 0) return []
  const chosen = options.older || options.newer || options.latest || options.allActive
    ? await chooseTargets(deps, versions, names, options)
    : await whole(deps, versions, names, options)
  const isRelative = options.older || options.newer
  const drops = isRelative ? chosen.filter((each) => each.state !== 'active') : chosen
  if (!options.force) assertNotActive(drops)
  return drops
}

// The same command again, after it was killed or has ended, finds its versions dropped.
async function withoutDropped(deps: TargetDeps, versions: readonly Version[], given: readonly string[]) {
  const dropped = await listDropped(deps.store, deps.prefix)
  return given.filter((name) => isAmong(versions, name) || !isAmong(dropped, name))
}

function isAmong(versions: readonly Version[], name: string): boolean {
  return versions.some((each) => each.index === name || isNamed(each, name))
}

async function whole(
  deps: TargetDeps,
  versions: readonly Version[],
  names: readonly string[],
  { all, force = false }: DropTargets,
): Promise<Version[]> {
  if (all) return force || versions.length === 0 ? [...versions] : refuseAll(versions)
  const bare = names.find((name) => versions.some((each) => each.index === name))
  const drops = await chooseWhole(deps, versions, names)
  if (bare !== undefined && !force) refuseBare(versions.filter((each) => each.index === bare), bare)
  return drops
}

function refuseAll(versions: readonly Version[]): never {
  throw new ElasticUmzugError('COMMAND_INVALID', `--all means all ${versions.length} versions: ${shown(versions)}.`, {
    next: `npx umzug es:drop ${nameOf(versions[0]!)} drops one; --force drops them all`,
  })
}

function refuseBare(versions: readonly Version[], name: string): never {
  const one = versions.find((each) => each.state !== 'active') ?? versions[0]!
  throw new ElasticUmzugError('COMMAND_INVALID', `"${name}" means all its versions: ${shown(versions)}.`, {
    next: `npx umzug es:drop ${nameOf(one)} drops one; --force drops them all`,
  })
}

function assertNotActive(drops: readonly Version[]): void {
  const active = drops.find((each) => each.state === 'active')
  if (!active) return
  throw new ElasticUmzugError(
    'COMMAND_INVALID',
    `${active.physical} is the active version: the readers of ${readAlias(active)} would find nothing.`,
    {
      next: `activate another one first (npx umzug es:activate ${active.index}@N); ` +
        `or npx umzug es:drop ${nameOf(active)} --force, which drops the alias as well`,
    },
  )
}

function shown(versions: readonly Version[]): string {
  return versions.map((each) => each.state === 'active' ? `${each.physical} (active)` : each.physical).join(', ')
}

function nameOf({ index, number }: Version): string {
  return `${index}@${number}`
}
