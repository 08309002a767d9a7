/**
 * Which versions a command is about: the same words for every command.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { listVersions, type Version } from './versions.ts'

/** Beside names: which versions of which indexes. */
export interface TargetOptions {
  /** As if every index were named. */
  all?: boolean
  /** Every index that has an active version. */
  allActive?: boolean
  /** Of each index its newest version instead of its active one. */
  latest?: boolean
  /** Of each index the versions before the active one, or before the one that is named. */
  older?: boolean
  /** Of each index the versions after the active one, or after the one that is named. */
  newer?: boolean
}

/** What is needed to look versions up. */
export interface TargetDeps {
  store: Store
  prefix: string
}

/** What one name stands for. */
interface Named {
  index: string
  /** The version it names; undefined where it names an index. */
  version: Version | undefined
}

/**
 * The versions that names and options stand for, in the order of index and number: `name` is the active version of the
 * index, `name@N` and a physical name that version; only versions of this prefix that are not dropped. `[]` where the options
 * choose none. Throws `COMMAND_INVALID` for options that contradict, `VERSION_UNKNOWN` for a name that stands for nothing.
 */
export async function findTargets(
  deps: TargetDeps,
  names: readonly string[],
  options: TargetOptions = {},
): Promise<Version[]> {
  assertTargets(names, options)
  const versions = await listVersions(deps.store, deps.prefix)
  const named = options.all || options.allActive
    ? [...new Set(versions.map((each) => each.index))].map((index): Named => ({ index, version: undefined }))
    : names.map((each) => namedBy(versions, each))
  const chosen = new Set(named.flatMap((each) => choose(versions, each, options)))
  return versions.filter((each) => chosen.has(each))
}

/** Throws `COMMAND_INVALID` for options that contradict each other or the names. */
export function assertTargets(names: readonly string[], options: TargetOptions): void {
  const everything = [options.all && '--all', options.allActive && '--all-active'].filter(Boolean)
  const relative = [options.latest && '--latest', options.older && '--older', options.newer && '--newer'].filter(
    Boolean,
  )
  if (everything.length > 0 && names.length > 0) contradict(`${everything[0]} and names`)
  if (everything.length > 1) contradict(everything.join(' and '))
  if (relative.length > 1) contradict(relative.join(' and '))
}

function contradict(what: string): never {
  throw new ElasticUmzugError(
    'COMMAND_INVALID',
    `${what} were given together; which versions are meant is not clear.`,
    {
      next: 'leave one of them out',
    },
  )
}

/** What a name stands for: `name`, `name@N` or a physical name of this prefix. Throws `VERSION_UNKNOWN`. */
function namedBy(versions: readonly Version[], name: string): Named {
  const version = versions.find((each) => each.physical === name || `${each.index}@${each.number}` === name)
  if (version) return { index: version.index, version }
  if (versions.some((each) => each.index === name)) return { index: name, version: undefined }
  throw unknownVersion(versions, name)
}

/** The error for a name that stands for no version. */
export function unknownVersion(versions: readonly Version[], name: string): ElasticUmzugError {
  const known = versions.map((each) => `${each.index}@${each.number}`).join(', ') || 'none'
  return new ElasticUmzugError('VERSION_UNKNOWN', `There is no version "${name}"; there are: ${known}.`, {
    next: 'npx umzug es:list',
  })
}

function choose(versions: readonly Version[], { index, version }: Named, options: TargetOptions): Version[] {
  const own = versions.filter((each) => each.index === index)
  if (options.latest) return own.slice(-1)
  const active = own.find((each) => each.state === 'active')
  const from = version ?? active
  if (options.older) return own.filter((each) => from !== undefined && each.number < from.number)
  // Nothing is active before the first activation, and every version is newer than that.
  if (options.newer) return own.filter((each) => each.number > (from?.number ?? 0))
  if (from) return [from]
  if (options.allActive) return []
  throw new ElasticUmzugError('VERSION_NOT_READY', `No version of index "${index}" is active.`, {
    next: `name one (${own.map((each) => `${index}@${each.number}`).join(', ')}), or: npx umzug es:activate ${index}`,
  })
}
