/**
 * Fills a version from its source: key ranges in parallel, each page with a number drawn before it is read.
 *
 * Pages are sent without a claim on their keys. Against newer documents their number protects them; against deletes
 * that the cluster forgot, the deletes recorded meanwhile are applied again at the end (see `reapply.ts`). For that,
 * no page may be under way when the ranges are done: a range is given on only after its request was answered, or
 * after its lease, and requests end before the lease does.
 * @module
 */
import PQueue from 'p-queue'
import { ElasticUmzugError } from '../errors.ts'
import type { Emitter } from '../events.ts'
import type { Clock, Documents, SearchClient, Source } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { type Refusal, sendBulk } from './bulk.ts'
import { drawNumber } from './clock.ts'
import { checkpoint, claimRange, planRanges, type Range, rangeProgress, releaseRange } from './ranges.ts'
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
  signal?: AbortSignal | undefined
  assertHeld?: () => void
}

const rowsPerRange = 25_000
const maxRanges = 256
const firstRows = 500
const maxRows = 5_000
/** Bytes of one request. Larger ones gain nothing and cost memory on both sides. */
const pageBytes = 2_000_000

/** Populates what is not populated yet; more processes may call it at once. Ends when every range is done. */
export async function populate(deps: PopulateDeps, options: PopulateOptions): Promise<void> {
  const { store, clock } = deps
  const { version, source, signal } = options
  const parts = Math.max(1, Math.min(maxRanges, Math.ceil(options.expected / rowsPerRange)))
  if ((await rangeProgress(store, version.id)).ranges === 0) {
    await planRanges(store, version.id, parts === 1 ? [] : await source.split(store.db, parts))
  }
  const failed = new AbortController()
  const run = { ...options, signal: signal ? AbortSignal.any([signal, failed.signal]) : failed.signal }
  const queue = new PQueue({ concurrency: options.workers })
  const work = async () => {
    for (let idle = 0;;) {
      if (run.signal.aborted) return
      const outcome = await fillNextRange(deps, run)
      if (outcome === 'done') return
      // Somebody else holds the last ranges: they end, or their lease does.
      if (outcome === 'busy') await clock.sleep(Math.min(1_000, 50 * 2 ** idle++), run.signal)
      else idle = 0
    }
  }
  await Promise.all(Array.from({ length: options.workers }, () =>
    queue.add(() =>
      work().catch((error) => {
        failed.abort()
        throw error
      })
    )))
  if (signal?.aborted) throw stopped(version)
}

function stopped(version: Version): ElasticUmzugError {
  return new ElasticUmzugError('STOPPED', `Populating ${version.physical} was stopped at a checkpoint.`, {
    next: 'run the same command again; it goes on from there',
  })
}

async function fillNextRange(deps: PopulateDeps, options: PopulateOptions): Promise<'done' | 'busy' | 'filled'> {
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

/** Part of the lease that is kept back: a request ends before its range can be claimed by another. */
const marginShare = 0.2

async function fillRange(deps: PopulateDeps, options: PopulateOptions, range: Range, token: string): Promise<void> {
  const { store, clock } = deps
  const { version, source } = options
  let rows = firstRows
  let page: Checkpoint = { cursor: range.cursor, documents: 0, done: false }
  for (;;) {
    const deadline = clock.now() + deps.leaseMs * (1 - marginShare)
    if (!(await checkpoint(store, version.id, range.number, token, page, deps.leaseMs)) || page.done) return
    if (options.signal?.aborted) return await releaseRange(store, version.id, range.number, token)
    options.assertHeld?.()
    const number = await drawNumber(store)
    const after = page.cursor ?? range.cursor ?? range.after
    const documents = await source.page(store.db, { after, upTo: range.upTo }, { rows, bytes: pageBytes }, number)
    if (documents.failed?.[0]) throw unmade(version, documents.failed[0])
    if (documents.last === null) {
      page = { cursor: null, documents: 0, done: true }
      continue
    }
    const sent = documents.count === 0 || await sendPage(deps, options, documents, deadline)
    if (!sent) page = { cursor: page.cursor, documents: 0, done: false }
    else {
      page = { cursor: documents.last, documents: documents.count, done: false }
      rows = nextRows(rows, documents)
      await report(deps, options, documents.count)
    }
  }
}

type Checkpoint = { cursor: string | null; documents: number; done: boolean }

// Pages grow to the bytes of a request, not to a number of rows: rows may be tiny or huge.
function nextRows(rows: number, { body, count }: Documents): number {
  if (count === 0) return Math.min(maxRows, rows * 2)
  const fitting = Math.floor(pageBytes / (body.length / count))
  return Math.max(10, Math.min(maxRows, fitting, rows * 2))
}

// False: not written, to be read and sent again (with a new number).
async function sendPage(
  deps: PopulateDeps,
  { version, signal }: PopulateOptions,
  documents: Documents,
  deadline: number,
): Promise<boolean> {
  const timeLeft = deadline - deps.clock.now()
  if (timeLeft < 1) return false
  const outcome = await sendBulk(deps.search, writeAlias(version), documents.body, timeLeft)
  if (outcome.kind === 'answered') {
    const fault = outcome.refusals.find((each) => each.status < 500 && each.status !== 429)
    if (fault) throw refused(version, documents, fault)
    if (outcome.refusals.length === 0) return true
  } else if (outcome.kind === 'unanswered') {
    // That request may still arrive: until its deadline this range sends nothing else.
    await deps.clock.sleep(Math.max(0, deadline - deps.clock.now()))
    return false
  } else if (outcome.kind === 'refused' && outcome.status !== 429) {
    throw new ElasticUmzugError('SEARCH_FAILED', `Elasticsearch refused a page for ${version.physical}: ${outcome.reason}`, {
      next: 'correct what it names, then run the same command again; it goes on from the checkpoint',
    })
  }
  await deps.clock.sleep(500 + Math.random() * 1_000, signal)
  return false
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
  return new ElasticUmzugError('SOURCE_INVALID', `document() of index "${version.index}" threw for key ${key}: ${reason}`, {
    next: `correct document() of index "${version.index}" in the config file, then: npx umzug up`,
  })
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
