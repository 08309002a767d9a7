/**
 * Comparing documents with rows, and making them equal again.
 * @module
 */
import { ElasticUmzugError, messageOf } from '../errors.ts'
import { type Difference, faultOf } from '../search/compare.ts'
import { highestMarked } from '../search/marker.ts'
import { readIndexes } from '../search/marker-search.ts'
import { assertPhysical, checkCluster, countDocuments, storesAsSent } from '../search/physical.ts'
import { type Checked, checkVersion, type Faults, nothingFound, sumOf } from '../search/repair.ts'
import { clearSuspicions, momentNow, sinceNoted } from '../search/suspicions.ts'
import type { TargetOptions } from '../search/targets.ts'
import { interruptedVerify, type VerifyState } from '../search/verify-state.ts'
import type { Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base, CommandOptions, Run } from './base.ts'
import { checkDeps } from './check.ts'
import { lookNow } from './look.ts'
import { assertSampled, verifySample } from './verify-sample.ts'
import { type Target, verifyTargets } from './verify-targets.ts'

/** Options of `verify`. */
export interface VerifyOptions extends CommandOptions, TargetOptions {
  /** True writes what differs anew, and lifts the document clock where documents are ahead of it. */
  repair?: boolean
  /** Compares the counts, and so many documents and rows at random, from 1 to 10,000; without it, all of them. */
  sample?: number
  /** Begins anew, where a comparison was stopped or killed; default: goes on with it. */
  full?: boolean
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
  /** True when it was a sample. */
  sampled: boolean
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

/**
 * Compares every document of the chosen versions with what the source gives now, while writes go on: `name` is the active
 * version, `name@N` and physical names any complete one; by default all that this code has the definition of. What is on
 * its way through the queue is no difference. Two at once are safe; a killed run leaves keys in the queue and a checkpoint,
 * from which the next one goes on within a day. Throws `VERIFY_FAILED` when differences remain, and `STOPPED` at the signal.
 */
export async function verifyVersions(
  base: Base,
  targets: readonly string[] = [],
  options: VerifyOptions = {},
): Promise<Verified[]> {
  assertSampled(options)
  await checkSchema(base.store)
  const name = options.repair ? 'es:verify --repair' : 'es:verify'
  const about = targets.length > 0 ? { target: targets.join(' ') } : {}
  return await base.run(name, { ...options, ...about, exclusive: false }, async (run) => {
    await checkCluster(base.needSearch())
    if (options.repair) await awaitStragglers(base, run)
    const results: Verified[] = []
    for (const each of await verifyTargets(base, run, targets, targetOptions(options))) {
      const about = { action: name, target: each.version.physical }
      results.push(await run.part(about, (part) => verifyOne(base, part, each, options)))
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

function targetOptions({ all, allActive, latest, older, newer }: VerifyOptions): TargetOptions {
  return Object.fromEntries(Object.entries({ all, allActive, latest, older, newer }).filter(([, given]) => given))
}

async function verifyOne(base: Base, run: Run, target: Target, options: VerifyOptions): Promise<Verified> {
  const { version } = target
  await assertPhysical(base.needSearch(), version)
  const contents = storesAsSent(version.definition)
  if (!contents) {
    run.say(`${version.physical}: its definition changes what is stored, so keys are compared, not contents`)
  }
  const { sample } = options
  const { compared, ...checked } = sample === undefined
    ? await verifyWhole(base, run, target, { contents, options })
    : await verifySample(base, run, target, { contents, size: sample })
  run.action.count('compared', compared)
  const { index, number, physical } = version
  run.say(`${physical}: ${told(checked)}`)
  return { index, version: number, physical, compared, sampled: sample !== undefined, ...checked }
}

async function verifyWhole(
  base: Base,
  run: Run,
  { version, source }: Target,
  { contents, options }: { contents: boolean; options: VerifyOptions },
): Promise<Checked & { compared: number }> {
  const { store } = base
  const repair = options.repair ?? false
  const state = await stateOf(base, run, version, { repair, contents, full: options.full ?? false })
  // At once: what it goes on with must not be gone on with again when it has ended.
  await run.action.checkpoint(state)
  const progress = await followed(base, version, state.compared)
  const checked = await checkVersion(checkDeps(base, run, true), version, source, {
    contents,
    repair,
    highest: repair ? await highestDrawn(base, run) : undefined,
    from: state.position ? { position: state.position, checked: state.checked } : undefined,
    onPage: (size) => Promise.resolve(progress.add(size)),
    onPosition: (position, checked) =>
      run.action.checkpoint({ ...state, position, checked, compared: progress.total() } satisfies VerifyState),
  })
  if (repair && isEqual(checked)) await clearSuspicions(store, version.id, state.began)
  return { ...checked, compared: progress.total() }
}

// Where to begin: at the checkpoint of one that was stopped or killed, or at the beginning.
async function stateOf(
  { store, needSearch }: Base,
  { say }: Run,
  { physical }: Version,
  { repair, contents, full }: { repair: boolean; contents: boolean; full: boolean },
): Promise<VerifyState> {
  const uuid = (await readIndexes(needSearch(), [physical]))[physical] ?? ''
  const verify = { uuid, repair, contents }
  const begun = full ? undefined : await interruptedVerify(store, physical, verify)
  if (begun) say(`${physical}: goes on where a comparison was stopped, behind ${begun.compared} documents and rows`)
  return begun ?? { verify, position: null, checked: nothingFound(), compared: 0, began: await momentNow(store) }
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

async function followed(
  base: Base,
  version: Version,
  before: number,
): Promise<{ add(size: number): void; total(): number }> {
  const documents = await countDocuments(base.needSearch(), version.physical) ?? 0
  let total = before
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
