/**
 * `queue:retry` and `queue:clear`: what is done about documents that ran out of attempts.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { type AbortedFilter, clearKeys, countAborted, listAborted, retryKeys } from '../queue/aborted.ts'
import { listVersions, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base, CommandOptions } from './base.ts'

/** Which part of the queue is meant; all of it where nothing is given. */
export interface QueueSelection {
  /** Names of indexes (all their versions), `name@N`, or physical names. */
  targets?: readonly string[]
  /** The same, to leave out of those what none of these mean. */
  indexes?: readonly string[]
  /** Keys of documents. */
  keys?: readonly string[]
  /** Text that the reason must hold. */
  reason?: string
}

/** Options of `retry` and `clear`. */
export interface AbortedOptions extends CommandOptions, QueueSelection {
  /** True changes nothing. */
  dryRun?: boolean
}

/** Options of `clear`. */
export interface ClearOptions extends AbortedOptions {
  /** True means every aborted document of every version: it must be said. */
  all?: boolean
}

/** So many documents of one version. */
export interface AbortedCount {
  /** Name, without prefix. */
  index: string
  /** Number of the version. */
  version: number
  /** Documents that were concerned. */
  keys: number
}

/** The versions of a selection. Throws `VERSION_UNKNOWN` with those there are. */
export async function selectVersions(
  { store, prefix }: Base,
  { targets = [], indexes = [] }: QueueSelection,
): Promise<Version[]> {
  const versions = await listVersions(store, prefix)
  const isMeant = ({ index, number, physical }: Version, by: readonly string[]) =>
    by.length === 0 || [index, `${index}@${number}`, physical].some((each) => by.includes(each))
  const unknown = [...targets, ...indexes].find((target) => !versions.some((each) => isMeant(each, [target])))
  if (unknown !== undefined) {
    const known = versions.map((each) => `${each.index}@${each.number}`).join(', ') || 'none'
    throw new ElasticUmzugError('VERSION_UNKNOWN', `There is no index or version "${unknown}"; there are: ${known}.`, {
      next: 'npx umzug es:list',
    })
  }
  return versions.filter((each) => isMeant(each, targets) && isMeant(each, indexes))
}

/**
 * Makes aborted documents due again, with all their attempts. Throws `VERSION_UNKNOWN`, or `ABORTED_UNKNOWN` for a key
 * or a reason that no aborted document has; then nothing was changed.
 */
export async function retryAborted(base: Base, options: AbortedOptions): Promise<AbortedCount[]> {
  return await change(base, 'queue:retry', options, async (filter) => {
    const counts = await retryKeys(base.store, filter)
    base.emitter.emit('queue:aborted:retried', { keys: sumOf(counts) })
    return counts
  })
}

/**
 * Forgets aborted documents: they stay in the index as they are until their rows change again. Throws `COMMAND_INVALID`
 * when neither versions nor keys nor `all` are given, and as `retryAborted` does; then nothing was changed.
 */
export async function clearAborted(base: Base, options: ClearOptions): Promise<AbortedCount[]> {
  if (!options.all && !options.targets?.length && !options.indexes?.length && !options.keys?.length) {
    throw new ElasticUmzugError(
      'COMMAND_INVALID',
      'queue:clear forgets documents that are wrong in the index: name them.',
      {
        next: 'npx umzug queue:clear NAME, or with --key KEY, or --all for every aborted document',
      },
    )
  }
  return await change(base, 'queue:clear', options, async (filter) => {
    const counts = await clearKeys(base.store, filter)
    base.emitter.emit('queue:aborted:cleared', { keys: sumOf(counts) })
    return counts
  })
}

async function change(
  base: Base,
  name: string,
  options: AbortedOptions,
  work: (filter: AbortedFilter) => Promise<Map<string, number>>,
): Promise<AbortedCount[]> {
  await checkSchema(base.store)
  const versions = await selectVersions(base, options)
  const filter = filterOf(versions, options)
  await assertKnown(base, filter)
  if (options.dryRun) return countsOf(versions, await countAborted(base.store, filter))
  // Not under the run lock: a build of hours must not keep it waiting, and any two of these may run at once.
  const run = { ...options, exclusive: false, target: [...options.targets ?? [], ...options.indexes ?? []].join(' ') }
  return await base.run(name, run, async ({ action, say }) => {
    const counts = await work(filter)
    action.count('documents', sumOf(counts))
    const results = countsOf(versions, counts)
    for (const { index, version, keys } of results) say(`${index}-${version}: ${keys} documents ${told[name]}`)
    if (results.length === 0) say('no document is aborted')
    return results
  })
}

const told: Readonly<Record<string, string>> = {
  'queue:retry': 'are tried again',
  'queue:clear': 'are forgotten; they stay as they are until their rows change again',
}

/** The aborted keys that a selection means. */
export function filterOf(versions: readonly Version[], { keys, reason }: QueueSelection): AbortedFilter {
  const some = keys && keys.length > 0 ? keys : undefined
  return { versionIds: versions.map((each) => each.id), keys: some, reason }
}

// What was named and is not there is a mistake: a wrong key must not look like work done.
async function assertKnown({ store }: Base, filter: AbortedFilter): Promise<void> {
  const { versionIds, keys, reason } = filter
  if (!keys && reason === undefined) return
  const found = await listAborted(store, filter, keys ? keys.length * versionIds.length : 1)
  const missing = keys?.filter((key) => !found.some((each) => each.key === key)) ?? []
  if (found.length > 0 && missing.length === 0) return
  const others = await listAborted(store, { versionIds }, 10)
  const known = [...new Set(others.map((each) => each.key))].join(', ') || 'none'
  const what = missing.length > 0 ? `${missing.join(', ')} is not` : `No document is, for "${reason}",`
  throw new ElasticUmzugError('ABORTED_UNKNOWN', `${what} among the aborted documents; aborted are: ${known}.`, {
    next: 'npx umzug queue:status --aborted',
  })
}

function countsOf(versions: readonly Version[], counts: ReadonlyMap<string, number>): AbortedCount[] {
  return versions.flatMap(({ id, index, number }) => {
    const keys = counts.get(id) ?? 0
    return keys > 0 ? [{ index, version: number, keys }] : []
  })
}

function sumOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, each) => sum + each, 0)
}
