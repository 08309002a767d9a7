/**
 * Fills one key range page by page: each with a number drawn before it is read, checkpointed after it was written.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Emitter } from '../events.ts'
import type { Clock, Documents, KeyRange, SearchClient, Source } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { deadlineOf, isUncertain, type Refusal, sendBulk } from './bulk.ts'
import type { Throttle } from './load.ts'
import type { Pressure } from './pressure.ts'
import { type Checkpoint, checkpoint, type Range, releaseRange } from './ranges.ts'
import { isPiped } from './settings.ts'
import { type Version, writeAlias } from './versions.ts'

/** What filling ranges needs. */
export interface PageDeps {
  store: Store
  search: SearchClient
  clock: Clock
  emitter: Emitter
  leaseMs: number
}

/** A populate on its way in this process. */
export interface Populating {
  version: Version
  source: Source
  throttle: Throttle
  pressure: Pressure
  signal?: AbortSignal | undefined
  assertHeld?: (() => void) | undefined
  /** Waits where the database has enough to do. */
  regard: (signal?: AbortSignal) => Promise<void>
  /** Told the documents of every page that was written. */
  onPage: (documents: number) => Promise<void>
}

/** What a range is filled with, and how far it is. */
interface Filling {
  range: Range
  token: string
  /** The last page, not stored yet. */
  page: Checkpoint
  /** The next page, read while the one before it was sent. */
  ahead: Documents | undefined
}

/** Fills a range that is claimed by a token, until it is done, lost or given back at the signal. */
export async function fillRange(deps: PageDeps, options: Populating, range: Range, token: string): Promise<void> {
  const page = { cursor: range.cursor, documents: 0, done: false }
  const filling: Filling = { range, token, page, ahead: undefined }
  try {
    while (await fillPage(deps, options, filling));
  } catch (error) {
    // Errors come before a request or with its answer, so nothing is under way, and the next run need not wait.
    await releaseRange(deps.store, options.version.id, range.number, token).catch(() => {})
    throw error
  }
}

// Stores the page before, then sends the next; false when the range is done, lost or given back.
async function fillPage(deps: PageDeps, options: Populating, filling: Filling): Promise<boolean> {
  const { store, clock } = deps
  const { version, signal } = options
  const { range, token } = filling
  // Counted from before the lease is prolonged: a process that stalls after this line sends nothing after the lease.
  const deadline = deadlineOf(clock, deps.leaseMs)
  const number = await checkpoint(store, version.id, range.number, token, filling.page, deps.leaseMs)
  if (number === undefined || filling.page.done) return false
  filling.page = { ...filling.page, documents: 0 }
  if (signal?.aborted) {
    await releaseRange(store, version.id, range.number, token)
    return false
  }
  options.assertHeld?.()
  const after = filling.page.cursor ?? range.after
  const documents = filling.ahead ?? await readPage(deps, options, { after, upTo: range.upTo }, number)
  filling.ahead = undefined
  await options.throttle.wait(documents.count, signal)
  await options.regard(signal)
  if (documents.failed?.[0]) throw unmade(version, documents.failed[0])
  if (documents.last === null) filling.page = { ...filling.page, done: true }
  else await writePage(deps, options, filling, documents, { deadline, number })
  return true
}

// Rule 8: draw, then read. However long a page waits to be sent, its number was drawn before it was read. It may be that of
// the page before as well.
async function readPage(
  { store }: PageDeps,
  { source, pressure }: Populating,
  range: KeyRange,
  number: string,
): Promise<Documents> {
  const documents = await source.page(store.db, range, pressure.page, number)
  pressure.read(documents)
  return documents
}

async function writePage(
  deps: PageDeps,
  options: Populating,
  filling: Filling,
  documents: Documents,
  { deadline, number }: { deadline: number; number: string },
): Promise<void> {
  const { upTo } = filling.range
  const isLast = documents.last === upTo
  // PostgreSQL makes the next page while the cluster takes this one.
  const [sent, next] = await Promise.allSettled([
    documents.count === 0 ? 'written' : options.pressure.slot(() => sendPage(deps, options, documents, deadline)),
    isLast ? undefined : readPage(deps, options, { after: documents.last, upTo }, number),
  ])
  if (sent.status === 'rejected') throw sent.reason
  if (sent.value !== 'written') return
  filling.page = { cursor: documents.last, documents: documents.count, done: isLast }
  // A fault of reading is met again when the page is read in its turn.
  filling.ahead = next.status === 'fulfilled' ? next.value : undefined
  await options.onPage(documents.count)
}

/** `again`: not written, to be read and sent again with a new number. */
type PageOutcome = 'written' | 'again'

async function sendPage(
  deps: PageDeps,
  { version, signal, pressure }: Populating,
  documents: Documents,
  deadline: number,
): Promise<PageOutcome> {
  const started = deps.clock.now()
  const timeLeft = deadline - started
  if (timeLeft < 1) {
    pressure.tooLarge(documents.count)
    return 'again'
  }
  const outcome = await sendBulk(deps.search, writeAlias(version), documents.body, timeLeft, isPiped(version))
  // Rule 8: what is uncertain may still arrive: until its deadline this range sends nothing else, and is not done.
  const unsure = async (): Promise<PageOutcome> => {
    pressure.overloaded()
    await deps.clock.sleep(Math.max(0, deadline - deps.clock.now()))
    return 'again'
  }
  if (outcome.kind === 'unanswered') return await unsure()
  if (outcome.kind === 'answered') {
    if (outcome.refusals.length === 0) {
      pressure.wrote(deps.clock.now() - started)
      return 'written'
    }
    if (outcome.refusals.some(isUncertain)) return await unsure()
    const fault = outcome.refusals.find((each) => each.status !== 429)
    if (fault) throw refused(version, documents, fault)
  } else if (outcome.kind === 'refused') {
    if (outcome.status === 413 && documents.count > 1) {
      pressure.tooLarge(documents.count)
      return 'again'
    }
    if (outcome.status !== 429) throw unfit(version, outcome.reason)
  }
  if (outcome.kind !== 'unsent') pressure.overloaded()
  await deps.clock.sleep(500 + Math.random() * 1_000, signal)
  return 'again'
}

function unfit({ physical }: Version, reason: string): ElasticUmzugError {
  return new ElasticUmzugError('SEARCH_FAILED', `Elasticsearch refused a page for ${physical}: ${reason}`, {
    next: 'correct what it names, then run the same command again; it goes on from the checkpoint',
  })
}

function refused(version: Version, { body }: Documents, { position, reason }: Refusal): ElasticUmzugError {
  const action = JSON.parse(body.split('\n')[position * 2] ?? '{}') as { index?: { _id?: string } }
  return new ElasticUmzugError(
    'DOCUMENT_REFUSED',
    `Elasticsearch refused document ${action.index?._id} of ${version.physical}: ${reason}`,
    { next: `correct the mappings or the source of index "${version.index}" in the config file, then: npx umzug up` },
  )
}

function unmade(version: Version, { key, reason }: { key: string; reason: string }): ElasticUmzugError {
  return new ElasticUmzugError(
    'SOURCE_INVALID',
    `document() of index "${version.index}" threw for key ${key}: ${reason}`,
    { next: `correct document() of index "${version.index}" in the config file, then: npx umzug up` },
  )
}
