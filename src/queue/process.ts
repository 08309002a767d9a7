/**
 * From claimed keys to documents. The order of the steps is what keeps writes from being lost:
 * claim, draw a number, read, check the deadline, send once, settle. Each is a statement of its own on the primary.
 * @module
 */
import type { Emitter } from '../events.ts'
import type { Clock, Documents, SearchClient, Source } from '../ports.ts'
import { type BulkOutcome, deleteLine, type Refusal, sendBulk } from '../search/bulk.ts'
import { drawNumber } from '../search/clock.ts'
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
}

/** What came of one batch. */
export interface BatchResult {
  claimed: number
  /** Set when the cluster did not take the batch: pause before the next. */
  away?: string
}

/** Part of the lease that is kept back: a request ends before the claim that sent it does. */
const marginShare = 0.2

/** Claims and processes one batch of a version. */
export async function processBatch(deps: ProcessDeps, served: Served, size: number): Promise<BatchResult> {
  const { store, clock } = deps
  const token = crypto.randomUUID()
  // Counted from before the claim: a process that stalls anywhere after this line stops before the claim ends.
  const deadline = clock.now() + deps.leaseMs * (1 - marginShare)
  const claimed = await claim(store, served.version.id, token, size, deps.leaseMs)
  if (claimed.length === 0) return { claimed: 0 }
  const version = await drawNumber(store)
  const keys = claimed.map((each) => each.key)
  const documents = await served.source.byKeys(store.db, keys, version)
    .catch((error) => releaseUnread(deps, served, token, claimed, error))
  if (!documents) return { claimed: claimed.length }
  return await write(deps, served, { token, claimed, documents, version, deadline })
}

interface Batch {
  token: string
  claimed: Claimed[]
  documents: Documents
  version: string
  deadline: number
}

async function write(deps: ProcessDeps, served: Served, batch: Batch): Promise<BatchResult> {
  const { documents, claimed, version, deadline } = batch
  const failed = new Map((documents.failed ?? []).map(({ key, reason }) => [key, reason]))
  const present = new Set(documents.keys)
  const absent = claimed.filter(({ key }) => !present.has(key) && !failed.has(key)).map((each) => each.key)
  const body = documents.body + absent.map((key) => deleteLine(key, version)).join('')
  const started = deps.clock.now()
  const timeLeft = deadline - started
  // Past the deadline somebody else may hold these keys: sending now could bring a deleted document back.
  if (timeLeft < 1) return { claimed: claimed.length }
  const outcome: BulkOutcome = body === ''
    ? { kind: 'answered', refusals: [] }
    : await sendBulk(deps.search, writeAlias(served.version), body, timeLeft)
  // No answer: the request may still arrive, so the claim is left to run out, and nobody may take its keys before.
  if (outcome.kind === 'unanswered') return { claimed: claimed.length, away: outcome.reason }
  if (outcome.kind !== 'answered') {
    const reason = outcome.reason
    await releaseAll(deps, served, batch, claimed.map(({ key }) => ({ key, reason, counts: isFault(outcome, claimed) })))
    return { claimed: claimed.length, ...(isFault(outcome, claimed) ? {} : { away: reason }) }
  }
  const order = [...documents.keys, ...absent]
  const refused = outcome.refusals.map((each) => ({ key: order[each.position]!, reason: each.reason, counts: !isLoad(each) }))
  const lost = new Set([...refused.map((each) => each.key), ...failed.keys()])
  const done = claimed.filter(({ key }) => !lost.has(key)).map((each) => ({ ...each, absent: !present.has(each.key) }))
  await settle(deps.store, served.version.id, batch.token, done)
  const unread = [...failed].map(([key, reason]) => ({ key, reason, counts: true }))
  await releaseAll(deps, served, batch, [...refused, ...unread])
  deps.emitter.emit('queue:batch:complete', {
    index: served.version.index,
    version: served.version.number,
    documents: documents.count,
    deletes: absent.length,
    ms: deps.clock.now() - started,
  })
  return { claimed: claimed.length, ...(outcome.refusals.some(isLoad) ? { away: outcome.refusals[0]!.reason } : {}) }
}

// A request too large for the cluster is the fault of its document only when it holds a single one.
function isFault(outcome: BulkOutcome, claimed: readonly Claimed[]): boolean {
  return outcome.kind === 'refused' && outcome.status !== 429 && outcome.status !== 401 && outcome.status !== 403 &&
    claimed.length === 1
}

function isLoad({ status }: Refusal): boolean {
  return status === 429 || status >= 500
}

async function releaseAll(
  deps: ProcessDeps,
  { version }: Served,
  { token }: Pick<Batch, 'token'>,
  refused: { key: string; reason: string; counts: boolean }[],
): Promise<void> {
  const released = await release(deps.store, version.id, token, refused, deps.maxAttempts)
  const reasons = new Map(refused.map((each) => [each.key, each.reason]))
  for (const { key, attempts, aborted } of released) {
    const event = { index: version.index, version: version.number, key, reason: reasons.get(key) ?? '' }
    deps.emitter.emit('queue:document:refused', { ...event, attempts })
    if (aborted) deps.emitter.emit('queue:document:aborted', event)
  }
}

// The rows could not be read, so nothing was sent. It is no document's fault: not an attempt.
async function releaseUnread(
  deps: ProcessDeps,
  served: Served,
  token: string,
  claimed: Claimed[],
  error: unknown,
): Promise<undefined> {
  const reason = error instanceof Error ? error.message : String(error)
  await releaseAll(deps, served, { token }, claimed.map(({ key }) => ({ key, reason, counts: false })))
  deps.emitter.emit('queue:worker:error', { error })
  return undefined
}
