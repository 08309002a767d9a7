/**
 * Fills a version from the active one, inside the cluster: part by part, each a task that somebody watches.
 *
 * Rules 24 and 28 of the protocol. Documents keep their versions, so whatever workers write meanwhile stands. A killed
 * process leaves its tasks running: who comes next goes on watching those on record, and ends all others before it calls
 * the copy done. What was deleted meanwhile is applied again at the end, as for pages (`reapply.ts`).
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { deadlineOf, isShut } from './bulk.ts'
import type { LoadOptions } from './load.ts'
import type { PageDeps } from './pages.ts'
import { takeAll, type Taken } from './parallel.ts'
import { stopped } from './populate.ts'
import { rangeProgress } from './ranges.ts'
import { cancelTask, endTasksInto, readTask, reasonOfFailure, startReindex, type TaskFailure } from './reindex.ts'
import {
  claimSlice,
  copyPlan,
  forgetSlices,
  holdSlice,
  leasedForMs,
  planSlices,
  type Slice,
  tasksOf,
} from './slices.ts'
import { type Version, writeAlias } from './versions.ts'

/** How to copy. */
export interface CopyOptions {
  version: Version
  /** The version that is copied, up to date. */
  from: Version
  /** Parts at work at once. */
  workers: number
  /** Documents there are, for the progress. */
  expected: number
  load?: LoadOptions | undefined
  signal?: AbortSignal | undefined
  assertHeld?: () => void
}

const documentsPerSlice = 100_000
const maxSlices = 64
const batchSize = 1_000
const pollMs = 250
/** Attempts at one part: a node may go, a search may lose its place. */
const maxAttempts = 5

/** Copies what is not copied yet. Throws `DOCUMENT_REFUSED` for a document that the new mappings refuse, and `STOPPED`. */
export async function copyDocuments(deps: PageDeps, options: CopyOptions): Promise<void> {
  const { store, search, clock } = deps
  const { version, from, signal, load = {} } = options
  const alias = writeAlias(version)
  const parts = Math.max(1, Math.min(maxSlices, Math.ceil(options.expected / documentsPerSlice)))
  await planSlices(store, version.id, { from: from.id, slices: parts })
  const { slices } = (await copyPlan(store, version.id))!
  await endTasksInto(search, clock, alias, await tasksOf(store, version.id))
  const workers = Math.min(slices, load.workers ?? options.workers)
  const run = { ...options, workers, slices }
  await takeAll({ clock, workers, signal }, (signal) => copyNextSlice(deps, { ...run, signal }))
  if (signal?.aborted) throw stopped(version)
  // Rule 24: one that was started without an answer may still be at work.
  await endTasksInto(search, clock, alias)
}

/**
 * Ends a copy that is not gone on with: nothing of it is under way, and the version can be filled from rows. What it wrote that
 * no row gives is found by a sweep.
 */
export async function forgetCopy(deps: PageDeps, version: Version): Promise<void> {
  if (!await copyPlan(deps.store, version.id)) return
  // Rule 24: a start of which nobody knows the answer takes effect within its lease.
  await deps.clock.sleep(await leasedForMs(deps.store, version.id))
  await endTasksInto(deps.search, deps.clock, writeAlias(version))
  const { db, table } = deps.store
  await db.query(`UPDATE ${table.index_versions} SET truncated = true WHERE id = $1`, [version.id])
  await forgetSlices(deps.store, version.id)
}

interface Copying extends CopyOptions {
  slices: number
  signal: AbortSignal
}

async function copyNextSlice(deps: PageDeps, options: Copying): Promise<Taken> {
  const { store, clock } = deps
  const token = crypto.randomUUID()
  const deadline = deadlineOf(clock, deps.leaseMs)
  const slice = await claimSlice(store, options.version.id, token, deps.leaseMs)
  if (!slice) {
    const { ranges, done } = await rangeProgress(store, options.version.id)
    return ranges === done ? 'done' : 'busy'
  }
  await copySlice(deps, options, { ...slice, token }, deadline)
  return 'worked'
}

type Held = Slice & { token: string }

async function copySlice(deps: PageDeps, options: Copying, slice: Held, deadline: number): Promise<void> {
  let failures: TaskFailure[] = []
  for (let attempt = 1, until = deadline; attempt <= maxAttempts; attempt++) {
    const task = attempt === 1 && slice.task !== null ? slice.task : await start(deps, options, slice, until)
    const ended = task === undefined ? { failures: [] } : await watch(deps, options, slice, task)
    if (ended === 'over') return
    failures = ended?.failures ?? []
    const refused = failures.find(isRefusal)
    if (refused) throw refusedDocument(options.version, refused)
    await deps.clock.sleep(attempt * 500, options.signal)
    if (options.signal.aborted) return void await giveBack(deps, options, slice)
    // Rule 16: the next start ends before the lease does, so it is counted from before the lease is prolonged.
    until = deadlineOf(deps.clock, deps.leaseMs)
    const kept = { task: null, documents: slice.documents, done: false }
    if (!await holdSlice(deps.store, options.version.id, slice, kept, deps.leaseMs)) return
  }
  await holdSlice(deps.store, options.version.id, slice, { task: null, documents: 0, done: false }, 0)
  const reason = failures[0] ? reasonOfFailure(failures[0]) : 'no answer'
  throw new ElasticUmzugError('SEARCH_FAILED', `Copying to ${options.version.physical} failed: ${reason}`, {
    next: 'run the same command again; it goes on from the checkpoint, or with --no-copy from the rows',
  })
}

// An index that is closed or blocked, and a cluster that is too busy, are no document's fault.
function isRefusal({ id, status = 0, cause: { type = '' } = {} }: TaskFailure): boolean {
  return id !== undefined && status >= 400 && status < 500 && status !== 429 && !isShut({ status, type })
}

// On record before it is watched. Without an answer nothing else is started until it has surely begun or never will.
async function start(
  deps: PageDeps,
  options: Copying,
  slice: Held,
  deadline: number,
): Promise<string | undefined> {
  const { clock } = deps
  const { rate, batchSize: rows = batchSize } = options.load ?? {}
  const task = await startReindex(deps.search, {
    from: options.from.physical,
    to: writeAlias(options.version),
    part: { id: slice.number - 1, max: options.slices },
    batchSize: Math.min(rows, 10_000),
    rate: rate === undefined ? undefined : rate / options.workers,
    timeoutMs: Math.max(1, deadline - clock.now()),
  })
  if (task === undefined) await clock.sleep(Math.max(0, deadline - clock.now()))
  return task
}

/** `over`: done, lost to somebody else, or given back at the signal. Undefined where the task is gone. */
type Watched = 'over' | { failures: TaskFailure[] } | undefined

async function watch(deps: PageDeps, options: Copying, slice: Held, task: string): Promise<Watched> {
  const { store, search, clock } = deps
  const { version, signal } = options
  let seen = slice.documents
  for (let interval = 20;; interval = Math.min(pollMs, interval * 2)) {
    const state = await readTask(search, task)
    if (!state) return undefined
    const done = state.ended && state.failures.length === 0
    const kept = { task: done ? null : task, documents: state.passed, done }
    if (!await holdSlice(store, version.id, slice, kept, deps.leaseMs)) return 'over'
    await report(deps, options, state.passed - seen)
    seen = Math.max(seen, state.passed)
    if (done) return 'over'
    if (state.ended) return signal.aborted ? await giveBack(deps, options, slice) : state
    options.assertHeld?.()
    if (signal.aborted) await cancelTask(search, task)
    await clock.sleep(interval)
  }
}

async function giveBack({ store }: PageDeps, { version }: Copying, slice: Held): Promise<'over'> {
  await holdSlice(store, version.id, slice, { task: null, documents: 0, done: false }, 0)
  return 'over'
}

async function report(deps: PageDeps, { version, expected }: Copying, documents: number): Promise<void> {
  if (documents <= 0) return
  const { documents: total } = await rangeProgress(deps.store, version.id)
  const about = { index: version.index, version: version.number, documents, total, expected }
  deps.emitter.emit('populate:page:complete', about)
}

function refusedDocument(version: Version, failure: TaskFailure): ElasticUmzugError {
  return new ElasticUmzugError(
    'DOCUMENT_REFUSED',
    `Elasticsearch refused document ${failure.id} of ${version.physical}: ${reasonOfFailure(failure)}`,
    { next: `correct the mappings of index "${version.index}" in the config file, then: npx umzug up` },
  )
}
