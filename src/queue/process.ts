/**
 * From claimed keys to documents. The order of the steps is what keeps writes from being lost:
 * claim, draw a number, read, check the deadline, send once, settle. Each is a statement of its own on the primary.
 * @module
 */
import { messageOf } from '../errors.ts'
import type { Emitter } from '../events.ts'
import type { Clock, Documents, SearchClient, Source } from '../ports.ts'
import { deadlineOf, deleteLine, isLoad, isShut, isUncertain, type Refusal, sendBulk } from '../search/bulk.ts'
import { drawNumber } from '../search/clock.ts'
import { isPiped } from '../search/settings.ts'
import { type Version, writeAlias } from '../search/versions.ts'
import type { Store } from '../store/store.ts'
import { claim, type Claimed, release, settle } from './pending.ts'

/** What processing needs. */
export interface ProcessDeps {
  store: Store
  search: SearchClient
  clock: Clock
  emitter: Emitter
  /** Length of a claim, in milliseconds. Too low: large batches run out of time. Too high: a crash delays its keys. */
  leaseMs: number
  /** Attempts at one document before it is aborted. */
  maxAttempts: number
}

/** A version together with the source that the code has for it. */
export interface Served {
  version: Version
  source: Source
  /** Hash of the definition by which this code makes the documents. */
  hash?: string
}

/** Why a batch was not written: the cluster, the index or the rows of this version, or the size of the batch. */
export interface Trouble {
  scope: 'search' | 'index' | 'rows' | 'size'
  reason: string
}

/** What came of one batch. */
export interface BatchResult {
  claimed: number
  /** Length of what was sent. */
  sent: number
  /** How long the request took, in milliseconds, where one was answered. */
  ms?: number
  trouble?: Trouble
}

interface Batch {
  token: string
  claimed: Claimed[]
  /** Time on the clock after which nothing of this batch may be sent. */
  deadline: number
}

interface Read extends Batch {
  documents: Documents
  /** Keys without a document: deleted in the index. */
  absent: string[]
  version: string
}

/** Claims and processes one batch of a version; `onClaim` is told the number of keys as soon as they are claimed. */
export async function processBatch(
  deps: ProcessDeps,
  served: Served,
  size: number,
  onClaim: (claimed: number) => void = () => {},
): Promise<BatchResult> {
  // Rule 3: a token of this claim alone.
  const token = crypto.randomUUID()
  // Counted from before the claim: a process that stalls anywhere after this line stops before the claim ends.
  const deadline = deadlineOf(deps.clock, deps.leaseMs)
  const claimed = await claim(deps.store, served.version.id, token, size, deps.leaseMs)
  if (claimed.length === 0) return { claimed: 0, sent: 0 }
  onClaim(claimed.length)
  const batch = { token, claimed, deadline }
  let documents: Read
  try {
    documents = await read(deps, served, batch)
  } catch (error) {
    return await releaseUnread(deps, served, batch, error)
  }
  return await write(deps, served, documents)
}

// Rule 4: draw, then read, each a statement of its own. What was committed before the claim is in the read, and whatever
// was read before has a smaller number.
async function read({ store }: ProcessDeps, { source }: Served, batch: Batch): Promise<Read> {
  const version = await drawNumber(store)
  const documents = await source.byKeys(store.db, batch.claimed.map((each) => each.key), version)
  const known = new Set([...documents.keys, ...(documents.failed ?? []).map((each) => each.key)])
  const absent = batch.claimed.filter(({ key }) => !known.has(key)).map((each) => each.key)
  return { ...batch, documents, absent, version }
}

async function write(deps: ProcessDeps, served: Served, batch: Read): Promise<BatchResult> {
  const deletes = batch.absent.map((key) => deleteLine(key, batch.version, served.source.routing?.(key)))
  const body = batch.documents.body + deletes.join('')
  const result = { claimed: batch.claimed.length, sent: body.length }
  const started = deps.clock.now()
  const timeLeft = batch.deadline - started
  // Rule 5: past the deadline somebody else may hold these keys: sending now could bring a deleted document back.
  if (timeLeft < 1) return { ...result, trouble: await giveUp(deps, served, batch) }
  if (body === '') return { ...result, ...await finish(deps, served, batch, []) }
  const outcome = await sendBulk(deps.search, writeAlias(served.version), body, timeLeft, isPiped(served.version))
  // Rule 6: without an answer the request may still arrive, so the claim is left to run out, and nobody may take its keys
  // before.
  if (outcome.kind === 'unanswered') return { ...result, trouble: unanswered(deps, served, batch, outcome.reason) }
  if (outcome.kind !== 'answered') {
    const trouble = troubleOf(outcome)
    const counts = trouble.scope === 'size' && batch.claimed.length === 1
    await giveBack(deps, served, batch, batch.claimed.map((each) => ({ ...each, reason: outcome.reason, counts })))
    return { ...result, trouble }
  }
  const ms = deps.clock.now() - started
  const finished = await finish(deps, served, batch, outcome.refusals)
  deps.emitter.emit('queue:batch:complete', {
    ...nameOf(served),
    documents: batch.documents.count,
    deletes: batch.absent.length,
    ms,
  })
  return { ...result, ...finished, ms }
}

function nameOf({ version }: Served): { index: string; version: number } {
  return { index: version.index, version: version.number }
}

// Nothing was sent, so the keys need not wait for the end of the claim.
async function giveUp(deps: ProcessDeps, served: Served, batch: Read): Promise<Trouble> {
  const reason = 'reading the rows took as long as the claim'
  await giveBack(deps, served, batch, batch.claimed.map((each) => ({ ...each, reason, counts: false })))
  return { scope: 'size', reason }
}

function unanswered(deps: ProcessDeps, served: Served, { claimed }: Read, reason: string): Trouble {
  deps.emitter.emit('queue:batch:unanswered', { ...nameOf(served), keys: claimed.length, reason })
  return { scope: 'search', reason }
}

// A request that the cluster does not take as a whole is either too much now, or too large, or holds something unreadable.
function troubleOf(
  outcome: { kind: 'refused'; status: number; reason: string } | { kind: 'unsent'; reason: string },
): Trouble {
  const isSize = outcome.kind === 'refused' && (outcome.status === 400 || outcome.status === 413)
  return { scope: isSize ? 'size' : 'search', reason: outcome.reason }
}

// Settles what was written, gives back what was not, leaves to its claim what nobody knows of.
async function finish(
  deps: ProcessDeps,
  served: Served,
  batch: Read,
  refusals: readonly Refusal[],
): Promise<{ trouble?: Trouble }> {
  const order = [...batch.documents.keys, ...batch.absent]
  const unmade = new Map((batch.documents.failed ?? []).map(({ key, reason }) => [key, { reason, counts: true }]))
  const uncertain = new Set<string>()
  for (const each of refusals) {
    const key = order[each.position]!
    if (isUncertain(each)) uncertain.add(key)
    else unmade.set(key, { reason: each.reason, counts: !isLoad(each) })
  }
  const absent = new Set(batch.absent)
  const done = batch.claimed.filter(({ key }) => !unmade.has(key) && !uncertain.has(key))
  const moved = await settle(
    deps.store,
    served.version.id,
    batch.token,
    done.map((each) => ({ ...each, absent: absent.has(each.key) })),
    served.hash,
  )
  if (moved > 0) deps.emitter.emit('queue:keys:released', { ...nameOf(served), keys: moved })
  await giveBack(
    deps,
    served,
    batch,
    batch.claimed.flatMap((each) => {
      const fault = unmade.get(each.key)
      return fault ? [{ ...each, ...fault }] : []
    }),
  )
  return troubleAmong(refusals)
}

// An index that is lost or closed is the trouble of its own version: the cluster may be well.
function troubleAmong(refusals: readonly Refusal[]): { trouble?: Trouble } {
  const load = refusals.find((each) => isUncertain(each) || isLoad(each) && !isShut(each))
  if (load) return { trouble: { scope: 'search', reason: load.reason } }
  const shut = refusals.find(isShut)
  return shut ? { trouble: { scope: 'index', reason: shut.reason } } : {}
}

async function giveBack(
  deps: ProcessDeps,
  served: Served,
  { token }: Batch,
  refused: (Claimed & { reason: string; counts: boolean })[],
): Promise<void> {
  const released = await release(deps.store, served.version.id, token, refused, deps.maxAttempts)
  const faults = new Map(refused.filter((each) => each.counts).map((each) => [each.key, each.reason]))
  for (const { key, attempts, aborted } of released) {
    const reason = faults.get(key)
    if (reason === undefined) continue
    const event = { ...nameOf(served), key, reason }
    deps.emitter.emit('queue:document:refused', { ...event, attempts })
    if (aborted) deps.emitter.emit('queue:document:aborted', event)
  }
}

// The rows could not be read, so nothing was sent. It counts as an attempt only where it is surely this row's fault.
async function releaseUnread(deps: ProcessDeps, served: Served, batch: Batch, error: unknown): Promise<BatchResult> {
  const reason = messageOf(error)
  const counts = batch.claimed.length === 1 && isDataError(error)
  deps.emitter.emit('queue:worker:error', { error })
  await giveBack(deps, served, batch, batch.claimed.map((each) => ({ ...each, reason, counts })))
  return { claimed: batch.claimed.length, sent: 0, trouble: { scope: 'rows', reason } }
}

// SQLSTATE classes: too many rows, wrong data, faults within functions or raised by them, too large for the server.
function isDataError(error: unknown): boolean {
  return /^(2[12F]|3[89]|54|P0)...$/.test(String((error as { code?: unknown } | null)?.code))
}
