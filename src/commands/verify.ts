/**
 * Comparing documents with rows, and making them equal again.
 * @module
 */
import { ElasticUmzugError, messageOf } from '../errors.ts'
import { markNow } from '../queue/changes.ts'
import { drain } from '../queue/drain.ts'
import { enqueue } from '../queue/pending.ts'
import type { Source } from '../ports.ts'
import { type Difference, faultOf } from '../search/compare.ts'
import { highestMarked } from '../search/marker.ts'
import { findVersion } from '../search/lifecycle.ts'
import { assertPhysical, checkCluster, countDocuments, storesAsSent } from '../search/physical.ts'
import { type CheckDeps, type Checked, checkVersion, type Faults, sumOf } from '../search/repair.ts'
import { clearSuspicions, momentNow, sinceNoted } from '../search/suspicions.ts'
import { isComplete, isMadeFrom, listVersions, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base, CommandOptions, Run } from './base.ts'
import { lookNow } from './look.ts'

/** Options of `verify`. */
export interface VerifyOptions extends CommandOptions {
  /** True writes what differs anew, and lifts the document clock where documents are ahead of it. */
  repair?: boolean
  /** Gets the result of each version, also when the whole ends in `VERIFY_FAILED`. */
  onResult?: (result: Verified) => void
}

/** What was found in one version. */
export interface Verified {
  /** Name, without prefix. */
  index: string
  /** Number of the version. */
  version: number
  /** Physical index. */
  physical: string
  /** Pages of both sides were compared with so many documents and rows in them. */
  compared: number
  /** Differences that were made equal, by what was wrong. */
  repaired: Faults
  /** Differences that there are still. */
  remaining: Faults
  /** The first of those. */
  first: Difference[]
  /** Documents whose version is above the document clock: the next change of theirs would be ignored. */
  ahead: number
  /** True when the document clock was lifted over such documents. */
  lifted: boolean
}

/** A version with the source that this code has for it. */
interface Target {
  version: Version
  source: Source
}

/**
 * Compares every document of the chosen versions with what the source gives now, while writes go on: `name` is the active
 * version, `name@N` and physical names any complete one; by default all that this code has the definition of. What is on
 * its way through the queue is no difference. Two at once are safe; a killed run leaves nothing behind but keys in the
 * queue. Throws `VERIFY_FAILED` when differences remain, and `STOPPED` at the signal.
 */
export async function verifyVersions(
  base: Base,
  targets: readonly string[] = [],
  options: VerifyOptions = {},
): Promise<Verified[]> {
  await checkSchema(base.store)
  const name = options.repair ? 'es:verify --repair' : 'es:verify'
  const about = targets.length > 0 ? { target: targets.join(' ') } : {}
  return await base.run(name, { ...options, ...about, exclusive: false }, async (run) => {
    await checkCluster(base.needSearch())
    if (options.repair) await awaitStragglers(base, run)
    const results: Verified[] = []
    for (const each of await chosen(base, run, targets)) {
      results.push(await verifyOne(base, run, each, options))
      options.onResult?.(results[results.length - 1]!)
    }
    assertEqual(results, options)
    return results
  })
}

// What was read before a restore may be on its way still, and land where it was compared already: until its deadline.
async function awaitStragglers(base: Base, { signal, say }: Run): Promise<void> {
  const { store, prefix, runtime: { clock } } = base
  const { leaseMs } = base.workerOptions()
  await lookNow(base, say, signal)
  const sinceMs = await sinceNoted(store, prefix)
  if (sinceMs === undefined || sinceMs >= leaseMs) return
  say('waiting for requests from before the restore')
  await clock.sleep(leaseMs - sinceMs, signal)
}

async function chosen(base: Base, run: Run, targets: readonly string[]): Promise<Target[]> {
  if (targets.length === 0) return await served(base, run)
  const found: Target[] = []
  for (const each of targets) found.push(await targetOf(base, each))
  return found
}

// One that was given up gets no changes any more: it differs, and that is known.
const isKept = (version: Version) => isComplete(version) && version.abandonedAt === null

async function served(base: Base, { say }: Run): Promise<Target[]> {
  const versions = (await listVersions(base.store, base.prefix)).filter(isKept)
  for (const each of versions) if (!sourceOf(base, each)) say(`${each.physical}: left out, ${unknownHere}`)
  if (versions.length === 0) say('there are no complete index versions')
  return versions.flatMap((version) => {
    const source = sourceOf(base, version)
    return source ? [{ version, source }] : []
  })
}

const unknownHere = 'this code does not have the definition that it was made from'

async function targetOf(base: Base, target: string): Promise<Target> {
  const versions = await listVersions(base.store, base.prefix)
  const active = versions.find((each) => each.index === target && each.state === 'active')
  const version = active ?? await findVersion(base, target)
  if (!isKept(version)) {
    const state = version.abandonedAt === null ? version.state : 'given up'
    throw new ElasticUmzugError('VERSION_NOT_READY', `${version.physical} is ${state}, not complete.`, {
      next: `npx umzug es:update ${version.index}`,
    })
  }
  const source = sourceOf(base, version)
  if (source) return { version, source }
  throw new ElasticUmzugError('DEFINITION_UNKNOWN', `${version.physical} cannot be verified here: ${unknownHere}.`, {
    next: 'run the command with that code, or name another version: npx umzug es:list',
  })
}

function sourceOf({ definitions }: Base, version: Version): Source | undefined {
  return definitions.find((each) => isMadeFrom(version, each))?.source
}

async function verifyOne(base: Base, run: Run, { version, source }: Target, options: VerifyOptions): Promise<Verified> {
  const { store } = base
  await assertPhysical(base.needSearch(), version)
  const began = await momentNow(store)
  const repair = options.repair ?? false
  const contents = storesAsSent(version.definition)
  if (!contents) {
    run.say(`${version.physical}: its definition changes what is stored, so keys are compared, not contents`)
  }
  const progress = await followed(base, version)
  const checked = await checkVersion(checkDeps(base, run, true), version, source, {
    contents,
    repair,
    highest: repair ? await highestDrawn(base, run) : undefined,
    onPage: (size) => Promise.resolve(progress.add(size)),
  })
  if (repair && isEqual(checked)) await clearSuspicions(store, version.id, began)
  const { index, number, physical } = version
  run.say(`${physical}: ${told(checked)}`)
  return { index, version: number, physical, compared: progress.total(), ...checked }
}

// Without it the documents tell, but for those that were deleted.
async function highestDrawn(base: Base, { say }: Run): Promise<bigint | undefined> {
  const { store, prefix } = base
  try {
    return await highestMarked({ store, search: base.needSearch(), prefix })
  } catch (error) {
    say(`how far the document clock had come is not known: ${messageOf(error)}`)
    return undefined
  }
}

/** What checking a version takes of the queue and of the run; `work` false leaves the writing to others. */
export function checkDeps(base: Base, { signal, say }: Run, work: boolean): CheckDeps {
  const options = base.workerOptions()
  return {
    ...options,
    signal,
    onLine: say,
    drain: ({ id }) => drain(options, { versionIds: [id], work, signal }),
    // The mark comes first: whoever drains from now on waits for these keys.
    enqueue: async (versionId, keys) =>
      await enqueue(base.store, versionId, keys, { origin: await markNow(base.store), madeAt: 'now' }),
  }
}

async function followed(base: Base, version: Version): Promise<{ add(size: number): void; total(): number }> {
  const documents = await countDocuments(base.needSearch(), version.physical) ?? 0
  let total = 0
  return {
    add(size) {
      total += size
      const { index, number } = version
      // Both sides, and as much again where the clock had to be lifted on the way.
      const expected = Math.max(total, 2 * documents)
      base.emitter.emit('verify:page:complete', { index, version: number, documents: size, total, expected })
    },
    total: () => total,
  }
}

function isEqual({ remaining, ahead }: Pick<Checked, 'remaining' | 'ahead'>): boolean {
  return sumOf(remaining) + ahead === 0
}

function told({ repaired, remaining, ahead, lifted }: Checked): string {
  const parts = [
    ...(lifted ? ['the document clock was lifted'] : []),
    ...(sumOf(repaired) > 0 ? [`repaired: ${inWords(repaired)}`] : []),
    ...(sumOf(remaining) > 0 ? [`differing: ${inWords(remaining)}`] : ['equal']),
    ...(ahead > 0 ? [`${ahead} documents have versions above the document clock`] : []),
  ]
  return parts.join('; ')
}

function inWords(faults: Faults): string {
  return Object.entries(faults).filter(([, count]) => count > 0).map(([fault, count]) => `${count} ${fault}`).join(', ')
}

function assertEqual(results: readonly Verified[], { repair }: VerifyOptions): void {
  const unequal = results.filter((each) => !isEqual(each))
  if (unequal.length === 0) return
  const lines = unequal.flatMap(({ physical, remaining, ahead, first }) => [
    `\n  ${physical}: ${inWords(remaining) || 'no differences'}${
      ahead > 0 ? `, ${ahead} above the document clock` : ''
    }`,
    ...first.map((each) => `\n    ${each.key}: ${faultOf(each)}`),
  ])
  throw new ElasticUmzugError('VERIFY_FAILED', `Rows and documents are not the same.${lines.join('')}`, {
    next: repair ? 'npx umzug queue:status tells why documents were refused' : 'npx umzug es:verify --repair',
  })
}
