/**
 * `es:list`: what is known of every version.
 * @module
 */
import { type Held, readHeld } from '../search/inventory.ts'
import { chooseTargets, chooseWhole, type TargetOptions } from '../search/targets.ts'
import { isMadeFrom, listDropped, listVersions, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base } from './base.ts'
import { prefixOf, type PrefixOption } from './prefix.ts'
import { queuesOf } from './queue.ts'

/** A version with what is known of it in the cluster and in the queue. */
export interface VersionStatus extends Version, Held {
  /** True when the config of this code has its definition. */
  known: boolean
  /** Keys that still have to be written. */
  backlog: number
  /** Age of the oldest of them in milliseconds. */
  lagMs: number
  /** Documents that ran out of attempts. */
  aborted: number
}

/** Options of `list`. */
export interface ListOptions extends TargetOptions, PrefixOption {
  /** True lists the dropped versions instead. */
  dropped?: boolean
}

/** The chosen versions, without names all; see `IndexCommands.list`. */
export async function listStatus(
  base: Base,
  names: readonly string[] = [],
  options: ListOptions = {},
): Promise<VersionStatus[]> {
  const { store, search, definitions } = base
  await checkSchema(store)
  const prefix = await prefixOf(base, options.prefix)
  const versions = await choose(base, prefix, names, options)
  const queues = await queuesOf(store, versions)
  // A cluster that is away hides nothing that the own tables know.
  const held = await readHeld(search, prefix, versions.map((each) => each.physical))
  return versions.map((version, at) => {
    const { backlog, lagMs, aborted } = queues[at]!
    const known = definitions.some((each) => isMadeFrom(version, each))
    return { ...version, ...held[at]!, known, backlog, lagMs, aborted }
  })
}

async function choose(
  base: Base,
  prefix: string,
  names: readonly string[],
  { dropped, ...options }: ListOptions,
): Promise<Version[]> {
  const { store, definitions } = base
  const versions = await (dropped ? listDropped : listVersions)(store, prefix)
  const { latest, older, newer, allActive } = options
  if (latest || older || newer || allActive) {
    const all = names.length === 0 && !allActive
    return await chooseTargets({ store, prefix }, versions, names, all ? { ...options, all } : options)
  }
  if (names.length === 0) return versions
  // A definition without a version is no unknown name.
  const isDefined = (name: string) => definitions.some((each) => each.name === name)
  const isMade = (name: string) => versions.some((each) => each.index === name)
  return await chooseWhole({ store, prefix }, versions, names.filter((each) => isMade(each) || !isDefined(each)))
}

/** A definition of this code that no version was made from yet. */
export interface Uncreated {
  /** Name, without prefix. */
  index: string
  /** Hash of the definition. */
  hash: string
}

/** The definitions (default: all) that no version was made from yet. */
export async function listUncreated(base: Base, names: readonly string[] = []): Promise<Uncreated[]> {
  await checkSchema(base.store)
  const versions = await listVersions(base.store, base.prefix)
  return base.definitions
    .filter((each) => names.length === 0 || names.includes(each.name))
    .filter((each) => !versions.some((version) => isMadeFrom(version, each)))
    .map(({ name, hash }) => ({ index: name, hash }))
}
