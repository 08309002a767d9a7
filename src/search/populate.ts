/**
 * Fills a version from its source: key ranges in parallel, each page with a number drawn before it is read.
 *
 * Rule 8 of the protocol. Pages are sent without a claim on their keys. Against newer documents their number protects
 * them; against deletes that the cluster forgot, the deletes recorded meanwhile are applied again at the end (see `reapply.ts`). For that,
 * no page may be under way when the ranges are done: a range is given on only after its request was answered, or
 * after its lease, and requests end before the lease does.
 * @module
 */
import PQueue from 'p-queue'
import { ElasticUmzugError } from '../errors.ts'
import type { Emitter } from '../events.ts'
import type { Clock, Documents, KeyRange, SearchClient, Source } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { deadlineOf, isUncertain, type Refusal, sendBulk } from './bulk.ts'
import { drawNumber } from './clock.ts'
import { createThrottle, type LoadOptions, type Throttle } from './load.ts'
import {
  type Checkpoint,
  checkpoint,
  claimRange,
  planRanges,
  type Range,
  rangeProgress,
  releaseRange,
} from './ranges.ts'
import { type Version, writeAlias } from './versions.ts'

/** What populating needs. */
export interface PopulateDeps {
  store: Store
  search: SearchClient
  clock: Clock
  emitter: Emitter
  leaseMs: number
}

/** How to populate. */
export interface PopulateOptions {
  version: Version
  source: Source
  /** Ranges at work at once in this process. */
  workers: number
  /** Rows the source gives, for the progress. */
  expected: number
  /** Limits of this process. */
  load?: LoadOptions | undefined
  /** True takes part in what another process has planned, and plans nothing: where nothing is planned, nothing is done. */
  join?: boolean
  signal?: AbortSignal | undefined
  assertHeld?: () => void
}

/** A populate on its way in this process. */
interface Populating extends PopulateOptions {
  throttle: Throttle
}

const rowsPerRange = 25_000
const maxRanges = 256
const firstRows = 500
/** Bytes of one request. Larger ones gain nothing and cost memory on both sides. */
const pageBytes = 2_000_000

/** Populates what is not populated yet; more processes may call it at once. Ends when every range is done. */
export async function populate(deps: PopulateDeps, options: PopulateOptions): Promise<void> {
  const { store, clock } = deps
  const { version, source, signal, load = {} } = options
  const workers = load.workers ?? options.workers
  const parts = Math.max(1, Math.min(maxRanges, Math.ceil(options.expected / rowsPerRange)))
  if (!options.join && (await rangeProgress(store, version.id)).ranges === 0) {
    await planRanges(store, version.id, parts === 1 ? [] : await source.split(store.db, parts))
  }
  const failed = new AbortController()
  const throttle = createThrottle(clock, { ...load, workers })
  const run = { ...options, throttle, signal: signal ? AbortSignal.any([signal, failed.signal]) : failed.signal }
  const work = async () => {
    for (let idle = 0; !run.signal.aborted;) {
      const outcome = await fillNextRange(deps, run)
      if (outcome === 'done') return
      // Somebody else holds the last ranges: they end, or their lease does.
      if (outcome === 'busy') await clock.sleep(Math.min(1_000, 50 * 2 ** idle++), run.signal)
      else idle = 0
    }
  }
  const failing = (error: unknown) => {
    failed.abort()
    throw error
  }
  // All end before the first fault is told: nothing may go on writing after this function.
  const queue = new PQueue({ concurrency: workers })
  const lanes = Array.from({ length: workers }, () => queue.add(() => work().catch(failing)))
  const ended = await Promise.allSettled(lanes)
  for (const each of ended) if (each.status === 'rejected') throw each.reason
  if (signal?.aborted) throw stopped(version)
}

/** The error of a run that the signal ended. */
export function stopped(version: Version): ElasticUmzugError {
  return new ElasticUmzugError('STOPPED', `Filling ${version.physical} was stopped at a checkpoint.`, {
    next: 'run the same command again; it goes on from there',
  })
}

async function fillNextRange(deps: PopulateDeps, options: Populating): Promise<'done' | 'busy' | 'filled'> {
  const { store } = deps
  const token = crypto.randomUUID()
  const range = await claimRange(store, options.version.id, token, deps.leaseMs)
  if (!range) {
    const { ranges, done } = await rangeProgress(store, options.version.id)
    return ranges === done ? 'done' : 'busy'
  }
  await fillRange(deps, options, range, token)
  return 'filled'
}

/** What a range is filled with, and how far it is. */
interface Filling {
  range: Range
  token: string
  /** Most rows of the next page. */
  rows: number
  /** The last page, not stored yet. */
  page: Checkpoint
  /** The next page, read while the one before it was sent. */
  ahead: Documents | undefined
}

async function fillRange(deps: PopulateDeps, options: Populating, range: Range, token: string): Promise<void> {
  const page = { cursor: range.cursor, documents: 0, done: false }
  const filling: Filling = { range, token, rows: Math.min(firstRows, options.throttle.rows), page, ahead: undefined }
  try {
    while (await fillPage(deps, options, filling));
  } catch (error) {
    // Errors come before a request or with its answer, so nothing is under way, and the next run need not wait.
    await releaseRange(deps.store, options.version.id, range.number, token).catch(() => {})
    throw error
  }
}

// Stores the page before, then sends the next; false when the range is done, lost or given back.
async function fillPage(deps: PopulateDeps, options: Populating, filling: Filling): Promise<boolean> {
  const { store, clock } = deps
  const { version, signal } = options
  const { range, token } = filling
  // Counted from before the lease is prolonged: a process that stalls after this line sends nothing after the lease.
  const deadline = deadlineOf(clock, deps.leaseMs)
  const isHeld = await checkpoint(store, version.id, range.number, token, filling.page, deps.leaseMs)
  if (!isHeld || filling.page.done) return false
  filling.page = { ...filling.page, documents: 0 }
  if (signal?.aborted) {
    await releaseRange(store, version.id, range.number, token)
    return false
  }
  options.assertHeld?.()
  const after = filling.page.cursor ?? range.after
  const documents = filling.ahead ?? await readPage(deps, options, { after, upTo: range.upTo }, filling.rows)
  filling.ahead = undefined
  await options.throttle.wait(documents.count, signal)
  if (documents.failed?.[0]) throw unmade(version, documents.failed[0])
  if (documents.last === null) filling.page = { ...filling.page, done: true }
  else await writePage(deps, options, filling, documents, deadline)
  return true
}

// Rule 8: draw, then read. However long a page waits to be sent, its number was drawn before it was read.
async function readPage(
  { store }: PopulateDeps,
  { source }: PopulateOptions,
  range: KeyRange,
  rows: number,
): Promise<Documents> {
  const number = await drawNumber(store)
  return await source.page(store.db, range, { rows, bytes: pageBytes }, number)
}

async function writePage(
  deps: PopulateDeps,
  options: Populating,
  filling: Filling,
  documents: Documents,
  deadline: number,
): Promise<void> {
  const rows = nextRows(filling.rows, options.throttle.rows, documents)
  // PostgreSQL makes the next page while the cluster takes this one.
  const [sent, next] = await Promise.allSettled([
    documents.count === 0 ? 'written' : sendPage(deps, options, documents, deadline),
    readPage(deps, options, { after: documents.last, upTo: filling.range.upTo }, rows),
  ])
  if (sent.status === 'rejected') throw sent.reason
  if (sent.value === 'written') {
    filling.page = { cursor: documents.last, documents: documents.count, done: false }
    filling.rows = rows
    // A fault of reading is met again when the page is read in its turn.
    filling.ahead = next.status === 'fulfilled' ? next.value : undefined
    await report(deps, options, documents.count)
  } else if (sent.value === 'smaller') {
    filling.rows = Math.max(1, Math.floor(Math.min(filling.rows, documents.count) / 2))
  }
}

// Pages grow to the bytes of a request, not to a number of rows: rows may be tiny or huge.
function nextRows(rows: number, maxRows: number, { body, count }: Documents): number {
  if (count === 0) return Math.min(maxRows, rows * 2)
  const fitting = Math.floor(pageBytes / (body.length / count))
  return Math.max(1, Math.min(maxRows, fitting, rows * 2))
}

/** `again` and `smaller`: not written, to be read and sent again with a new number. */
type PageOutcome = 'written' | 'again' | 'smaller'

async function sendPage(
  deps: PopulateDeps,
  { version, signal }: PopulateOptions,
  documents: Documents,
  deadline: number,
): Promise<PageOutcome> {
  const timeLeft = deadline - deps.clock.now()
  if (timeLeft < 1) return 'smaller'
  const outcome = await sendBulk(deps.search, writeAlias(version), documents.body, timeLeft)
  // Rule 8: what is uncertain may still arrive: until its deadline this range sends nothing else, and is not done.
  const unsure = () => deps.clock.sleep(Math.max(0, deadline - deps.clock.now()))
  if (outcome.kind === 'unanswered') return await unsure().then(() => 'again')
  if (outcome.kind === 'answered') {
    if (outcome.refusals.length === 0) return 'written'
    if (outcome.refusals.some(isUncertain)) return await unsure().then(() => 'again')
    const fault = outcome.refusals.find((each) => each.status !== 429)
    if (fault) throw refused(version, documents, fault)
  } else if (
    outcome.kind === 'refused' && outcome.status !== 429 && (outcome.status !== 413 || documents.count === 1)
  ) {
    throw new ElasticUmzugError(
      'SEARCH_FAILED',
      `Elasticsearch refused a page for ${version.physical}: ${outcome.reason}`,
      {
        next: 'correct what it names, then run the same command again; it goes on from the checkpoint',
      },
    )
  }
  if (outcome.kind === 'refused' && outcome.status === 413) return 'smaller'
  await deps.clock.sleep(500 + Math.random() * 1_000, signal)
  return outcome.kind === 'unsent' ? 'again' : 'smaller'
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
    {
      next: `correct document() of index "${version.index}" in the config file, then: npx umzug up`,
    },
  )
}

async function report(deps: PopulateDeps, { version, expected }: PopulateOptions, documents: number): Promise<void> {
  const { documents: total } = await rangeProgress(deps.store, version.id)
  const done = total + documents
  deps.emitter.emit('populate:page:complete', {
    index: version.index,
    version: version.number,
    documents,
    total: done,
    expected,
  })
}
