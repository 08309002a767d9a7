/**
 * Checks a version against its source, and makes it equal again.
 *
 * After a restore, documents may have versions above the document clock: what workers write then is taken for older, and
 * changes nothing. So before anything is repaired, requests under way are waited for, and the clock is lifted over every
 * number that was ever seen.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Clock, SearchClient, Source } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { liftClock, peekNumber } from './clock.ts'
import { type Comparison, confirmed, type Difference, type Fault } from './compare.ts'
import { differences, type Position } from './compare-pages.ts'
import type { Version } from './versions.ts'

/** What checking needs. */
export interface CheckDeps {
  store: Store
  search: SearchClient
  clock: Clock
  /** Longest life of a request, in milliseconds. */
  leaseMs: number
  signal?: AbortSignal | undefined
  /** Processes everything of the version that was committed before the call. */
  drain(version: Version): Promise<unknown>
  /** Adds keys of a version to its queue. */
  enqueue(versionId: string, keys: readonly string[]): Promise<void>
  onLine(line: string): void
}

/** How to check. */
export interface CheckOptions {
  /** False compares keys only. */
  contents: boolean
  /** True writes what differs anew, through the queue. */
  repair: boolean
  /** The highest number that is known to have been drawn, from outside the database. */
  highest?: bigint | undefined
  /** Called after every page with the number of documents or rows in it. */
  onPage(size: number): Promise<void>
  /** Where an interrupted run of the same stopped; default: at the beginning. */
  from?: { position: Position; checked: Checked } | undefined
  /** Called now and then with a place to go on from; with null when it has to begin anew. */
  onPosition?(position: Position | null, checked: Checked): Promise<void>
}

/** Numbers of differences. */
export type Faults = Record<Fault, number>

/** What was found. */
export interface Checked {
  /** Differences that were made equal. */
  repaired: Faults
  /** Differences that there are still. */
  remaining: Faults
  /** The first of those. */
  first: Difference[]
  /** Documents whose version is above the document clock: the next change of theirs would be ignored. */
  ahead: number
  /** True when the document clock had to be lifted. */
  lifted: boolean
}

const shown = 5

/** Checks one version, documents against rows and rows against documents, and repairs it if asked. Throws `STOPPED`. */
export async function checkVersion(
  deps: CheckDeps,
  version: Version,
  source: Source,
  options: CheckOptions,
): Promise<Checked> {
  const { store, search } = deps
  const checked = structuredClone(options.from?.checked ?? nothingFound())
  const numbers = await watchNumbers(store)
  const comparison: Comparison = {
    store,
    search,
    version,
    source,
    contents: options.contents,
    drain: async () => {
      await deps.drain(version)
      assertGoing(deps, version)
    },
    onVersions: numbers.see,
  }
  if (options.repair && options.highest !== undefined) await liftOver(deps, checked, options.highest)
  // Before the index is opened: its reader waits at every drain, and would not outlast a long backlog.
  await comparison.drain()
  let position = options.from?.position
  while (await pass(deps, comparison, { ...options, position }, numbers, checked)) {
    position = undefined
    Object.assign(checked, { remaining: noFaults(), first: [], ahead: 0 })
    await options.onPosition?.(null, checked)
  }
  return checked
}

/** The result where nothing was found yet. */
export function nothingFound(): Checked {
  return { repaired: noFaults(), remaining: noFaults(), first: [], ahead: 0, lifted: false }
}

function noFaults(): Faults {
  return { missing: 0, different: 0, extra: 0, unmakable: 0 }
}

/** The sum of some faults. */
export function sumOf(faults: Faults): number {
  return Object.values(faults).reduce((sum, each) => sum + each, 0)
}

// True when the clock was lifted on the way: what was found equal before may have been left behind since, by a worker whose
// number was too low.
async function pass(
  deps: CheckDeps,
  comparison: Comparison,
  options: CheckOptions & { position: Position | undefined },
  numbers: Numbers,
  checked: Checked,
): Promise<boolean> {
  let isLifted = false
  const onPage = async (size: number) => {
    await options.onPage(size)
    assertGoing(deps, comparison.version)
    const { ahead, highest } = await numbers.judge()
    if (!options.repair) checked.ahead += ahead
    else if (await liftOver(deps, checked, highest)) isLifted = true
  }
  for await (const { found, position } of differences(comparison, { from: options.position, onPage })) {
    const left = options.repair ? await mend(deps, comparison, found) : found
    count(checked, found, left)
    // Once the clock was lifted, all is compared anew.
    if (position && !isLifted) await options.onPosition?.(position, checked)
  }
  return isLifted
}

function count(checked: Checked, part: readonly Difference[], left: readonly Difference[]): void {
  const still = new Set(left.map((each) => each.key))
  for (const { key, fault } of part) if (!still.has(key)) checked.repaired[fault]++
  for (const { fault } of left) checked.remaining[fault]++
  checked.first.push(...left.slice(0, shown - checked.first.length))
}

async function mend(deps: CheckDeps, comparison: Comparison, part: readonly Difference[]): Promise<Difference[]> {
  if (part.length === 0) return []
  const keys = part.map((each) => each.key)
  await deps.enqueue(comparison.version.id, keys)
  await comparison.drain()
  return await confirmed(comparison, keys)
}

/** Throws `STOPPED` once the signal has come. */
export function assertGoing({ signal }: Pick<CheckDeps, 'signal'>, { physical }: Version): void {
  if (!signal?.aborted) return
  throw new ElasticUmzugError('STOPPED', `Comparing ${physical} was stopped.`, {
    next: 'run the same command again; it goes on from its checkpoint',
  })
}

// A request under way may still bring a document with a high number: after its deadline none does.
async function liftOver(deps: CheckDeps, checked: Checked, seen: bigint): Promise<boolean> {
  if (seen < await peekNumber(deps.store)) return false
  deps.onLine('documents have versions above the document clock: it is lifted, after the requests under way')
  await deps.clock.sleep(deps.leaseMs, deps.signal)
  if (deps.signal?.aborted) {
    throw new ElasticUmzugError('STOPPED', 'Stopped before the document clock was lifted.', {
      next: 'run the same command again',
    })
  }
  await liftClock(deps.store, seen)
  checked.lifted = true
  return true
}

/** Looks for documents with versions above what the clock would draw. */
interface Numbers {
  see(versions: readonly number[]): void
  /** What was seen since the last judgement: how many are above the clock, and the highest. */
  judge(): Promise<{ ahead: number; highest: bigint }>
}

async function watchNumbers(store: Store): Promise<Numbers> {
  let clock = Number(await peekNumber(store))
  let high: number[] = []
  return {
    see(versions) {
      for (const each of versions) if (each >= clock) high.push(each)
    },
    async judge() {
      if (high.length === 0) return { ahead: 0, highest: 0n }
      // The documents were read before: none of them was drawn by this clock unless it is below it now.
      const now = await peekNumber(store)
      clock = Number(now)
      const above = high.filter((each) => BigInt(each) >= now)
      high = []
      const highest = above.reduce((most, each) => BigInt(each) > most ? BigInt(each) : most, 0n)
      return { ahead: above.length, highest }
    },
  }
}
