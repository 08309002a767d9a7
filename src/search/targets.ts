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
  return await chooseTargets(deps, await listVersions(deps.store, deps.prefix), names, options)
}

/** `findTargets` among versions that were listed before, in their order. */
export async function chooseTargets(
  deps: TargetDeps,
  versions: readonly Version[],
  names: readonly string[],
  options: TargetOptions,
): Promise<Version[]> {
  const named = options.all || options.allActive
    ? [...new Set(versions.map((each) => each.index))].map((index): Named => ({ index, version: undefined }))
    : await Promise.all(names.map((each) => namedBy(deps, versions, each)))
  const chosen = new Set(named.flatMap((each) => choose(versions, each, options)))
  return versions.filter((each) => chosen.has(each))
}

/** Like it, but an index that is named stands for all its versions. */
export async function chooseWhole(
  deps: TargetDeps,
  versions: readonly Version[],
  names: readonly string[],
): Promise<Version[]> {
  const isWhole = (name: string) =>
    versions.some((each) => each.index === name) && !versions.some((each) => each.physical === name)
  const exact = await chooseTargets(deps, versions, names.filter((each) => !isWhole(each)), {})
  return versions.filter((each) => exact.includes(each) || names.filter(isWhole).includes(each.index))
}

/** Throws `COMMAND_INVALID` where neither names nor options say which versions; `what` is done to them. */
export function assertChosen(
  names: readonly string[],
  { all, allActive }: TargetOptions,
  { what, next }: { what: string; next: string },
): void {
  if (names.length > 0 || all || allActive) return
  throw new ElasticUmzugError('COMMAND_INVALID', `It was not said which versions to ${what}.`, { next })
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

// `name`, `name@N` or a physical name of this prefix. Throws `VERSION_UNKNOWN`, and `COMMAND_INVALID` where it stands for two.
async function namedBy(deps: TargetDeps, versions: readonly Version[], name: string): Promise<Named> {
  const version = versions.find((each) => isNamed(each, name))
  const isIndex = versions.some((each) => each.index === name)
  if (version && isIndex) throw ambiguous(version, name)
  if (version) return { index: version.index, version }
  if (isIndex) return { index: name, version: undefined }
  throw await explainUnknown(deps, versions, name)
}

// An index may be called what a version of another one is called: `books-2` beside `books`.
function ambiguous({ index, number }: Version, name: string): ElasticUmzugError {
  return new ElasticUmzugError(
    'COMMAND_INVALID',
    `"${name}" is version ${number} of index "${index}", and an index of its own.`,
    { next: `write ${index}@${number}, or ${name}@N for a version of the other` },
  )
}

/** The error for a name that stands for no version of this prefix; tells what it was, or where it is. */
export async function explainUnknown(
  { store, prefix }: TargetDeps,
  versions: readonly Version[],
  name: string,
): Promise<ElasticUmzugError> {
  const found = await store.db.query<{ physical: string; prefix: string; droppedAt: string | null }>(
    `SELECT v.physical, i.prefix, to_json(v.dropped_at) #>> '{}' AS "droppedAt"
     FROM ${store.table.index_versions} v JOIN ${store.table.indexes} i ON i.id = v.index_id
     WHERE v.physical = $1 OR i.prefix = $2 AND i.name || '@' || v.number = $1`,
    [name, prefix],
  )
  const [other] = found
  if (!other) return unknownVersion(ofNamed(versions, name), name)
  const what = other.prefix === prefix
    ? `${other.physical} was dropped on ${other.droppedAt}`
    : `${other.physical} was made with prefix "${other.prefix}", and this config has "${prefix}"`
  const next = other.prefix === prefix ? 'npx umzug es:list --dropped' : `npx umzug es:list --prefix ${other.prefix}`
  return new ElasticUmzugError('VERSION_UNKNOWN', `${what}.`, { next })
}

// Of an index that there is, its own versions say more than all there are.
function ofNamed(versions: readonly Version[], name: string): readonly Version[] {
  const index = name.replace(/[@-]\d+$/, '')
  const own = versions.filter((each) => each.index === index || `${each.prefix}${each.index}` === index)
  return own.length > 0 ? own : versions
}

/** Whether a name stands for exactly this version: `name@N`, or its physical name. */
export function isNamed({ index, number, physical }: Version, name: string): boolean {
  return physical === name || `${index}@${number}` === name
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
