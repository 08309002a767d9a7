/**
 * Brings a complete version up to date while it serves: every row or some, read and written again.
 *
 * Rule 26 of the protocol: keys are only enqueued; workers write them, this process as one of them. A checkpoint goes
 * with every page of keys, in one transaction. At most a page waits in the queue, so that changes of the application
 * are not held up, and stopping it stops it.
 * @module
 */
import type { Queryable } from '../ports.ts'
import type { Action } from '../store/actions.ts'
import { drawNumber } from './clock.ts'
import type { Definition } from './definition.ts'
import { documentVersions } from './keys.ts'
import type { LifecycleDeps } from './lifecycle.ts'
import { createThrottle } from './load.ts'
import { keysOf } from './refresh-keys.ts'
import { refusedDocuments } from './refused.ts'
import { interrupted, type RefreshState, type Rows, storable } from './refresh-state.ts'
import { settledMoment } from './since.ts'
import { momentNow } from './suspicions.ts'
import { retryAborted, type Version } from './versions.ts'

/** What refreshing needs. */
export interface RefreshDeps extends LifecycleDeps {
  /** Adds keys of a version to its queue. */
  enqueue(on: Queryable, versionId: string, keys: readonly string[]): Promise<void>
  /** Keys of a version that wait, counted as far as `most`. */
  waiting(versionId: string, most: number): Promise<number>
  /** Works as a worker on one version until it is stopped. */
  working(version: Version): { stop(): Promise<void> }
}

/** How to refresh. */
export interface RefreshOptions {
  rows: Rows
  /** True begins anew where an interrupted one could be gone on with. */
  anew: boolean
  /** Rows that are chosen, about, for the progress. */
  expected: number
}

/** Most keys of a page. */
const pageKeys = 2_000
const firstPauseMs = 20
const longestPauseMs = 500

/**
 * Enqueues the rows and waits until they are written. Goes on where an interrupted one for the same rows stopped.
 * Throws `STOPPED` at the signal, and `DOCUMENT_REFUSED` when documents ran out of attempts.
 */
export async function refreshVersion(
  deps: RefreshDeps,
  action: Action,
  version: Version,
  { source }: Definition,
  options: RefreshOptions,
): Promise<void> {
  const { store } = deps
  const began = await momentNow(store)
  const state = await begin(deps, action, version, options)
  await retryAborted(store, version.id, deps.maxAttempts)
  const flow = createFlow(deps, action, version, state, options.expected)
  const worker = deps.working(version)
  try {
    if (!state.read) {
      const page = deps.load?.batchSize ?? pageKeys
      for await (const { keys, at } of keysOf(store.db, source, options.rows, state.at, page)) {
        await flow.send(keys, { ...state, at })
      }
      await flow.written(0)
      Object.assign(state, { read: true })
      await action.checkpoint(stored(state))
    }
    if (options.rows.kind === 'all') await removeGone(deps, version, flow, state)
    await flow.written(0)
  } finally {
    await worker.stop()
  }
  // What was captured until now, as well; and whatever of it others are at.
  const { aborted } = await deps.drain(version)
  deps.assertHeld()
  await assertWritten(deps, action, version, began, aborted)
}

async function begin(
  deps: RefreshDeps,
  action: Action,
  version: Version,
  { rows, anew }: RefreshOptions,
): Promise<RefreshState> {
  const { store } = deps
  const found = anew ? undefined : await interrupted(store, version.physical, rows)
  if (found) {
    deps.onLine(`${version.physical}: goes on where action ${found.id} stopped, after ${found.state.attempted} rows`)
    await action.checkpoint(stored(found.state))
    return found.state
  }
  const from = await settledMoment(store.db)
  // Drawn before the first row is read: whatever is written from now on has a higher number.
  const number = await drawNumber(store)
  const whole = rows.kind === 'all' || rows.kind === 'captured' || rows.isLast === true
  const state: RefreshState = { from, whole, number, rows, at: null, attempted: 0, read: false }
  await action.checkpoint(stored(state))
  return state
}

function stored(state: RefreshState): object {
  return { ...state, rows: storable(state.rows) }
}

/** Keys on their way through the queue. */
interface Flow {
  /** Enqueues a page with its checkpoint, after those before it were written. */
  send(keys: readonly string[], state: RefreshState): Promise<void>
  /** Waits until at most so many keys wait. */
  written(most: number): Promise<void>
}

function createFlow(
  deps: RefreshDeps,
  action: Action,
  version: Version,
  start: RefreshState,
  expected: number,
): Flow {
  const { store, clock, signal } = deps
  const throttle = createThrottle(clock, deps.load ?? {})
  const state = start
  let counted = state.attempted
  const report = (waiting: number) => {
    const done = Math.max(counted, state.attempted - waiting)
    if (done === counted) return
    action.count('documents', done - counted)
    const { index, number } = version
    const total = { total: done, expected: Math.max(expected, done) }
    deps.emitter.emit('update:page:complete', { index, version: number, documents: done - counted, ...total })
    counted = done
  }
  const flow: Flow = {
    async send(keys, next) {
      await throttle.wait(keys.length, signal)
      deps.assertHeld()
      Object.assign(state, next, { attempted: state.attempted + keys.length })
      action.count('attempted', keys.length)
      await store.db.transaction(async (tx) => {
        await deps.enqueue(tx, version.id, keys)
        await action.checkpoint(stored(state), tx)
      })
      await flow.written(keys.length)
    },
    async written(most) {
      for (let pauseMs = firstPauseMs;; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
        const waiting = await deps.waiting(version.id, Math.max(1_000, 4 * pageKeys))
        report(waiting)
        if (waiting <= most) return
        deps.assertHeld()
        await clock.sleep(pauseMs, signal)
      }
    },
  }
  return flow
}

// Every row was written with a number above that of the beginning, but for those that ran out of attempts: what has a
// lower one has no row any more, or is looked at again for nothing.
async function removeGone(deps: RefreshDeps, version: Version, flow: Flow, state: RefreshState): Promise<void> {
  const { store } = deps
  for await (const page of documentVersions(deps.search, version.physical)) {
    const old = page.filter((each) => BigInt(each.version) < BigInt(state.number)).map((each) => each.key)
    if (old.length === 0) continue
    const waiting = await store.db.query<{ key: string }>(
      `SELECT key FROM ${store.table.pending} WHERE version_id = $1 AND key = ANY ($2::text[])`,
      [version.id, old],
    )
    const known = new Set(waiting.map((each) => each.key))
    const gone = old.filter((key) => !known.has(key))
    if (gone.length === 0) continue
    deps.onLine(`${version.physical}: ${gone.length} documents have no row any more, as it seems: they are looked at`)
    await flow.send(gone, state)
  }
}

async function assertWritten(
  deps: RefreshDeps,
  action: Action,
  version: Version,
  began: string,
  aborted: number,
): Promise<void> {
  if (aborted === 0) return
  const { store } = deps
  const [row] = await store.db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM ${store.table.pending}
     WHERE version_id = $1 AND due_at = 'infinity' AND aborted_at >= $2::timestamptz`,
    [version.id, began],
  )
  const failed = row!.count
  if (failed === 0) return deps.onLine(`${version.physical}: ${aborted} documents were aborted before`)
  action.count('failed', failed)
  action.count('documents', -failed)
  throw await refusedDocuments(store, version, failed, `npx umzug es:update ${version.index}`)
}
