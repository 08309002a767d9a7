/**
 * The worker of one process: looks at the queue, dispatches, starts lanes and sweeps, waits.
 * @module
 */
import { createBell } from './bell.ts'
import { dispatch } from './changes.ts'
import { createLanes, type Lanes } from './lanes.ts'
import { listen } from './listen.ts'
import { lookAt } from './look.ts'
import { pauseMs } from './outage.ts'
import type { Served } from './process.ts'
import { createAttendance, servedVersions, type ServingOptions } from './serving.ts'
import { sweep } from './sweep.ts'
import { noteMs } from './unserved.ts'

export { servedVersions }

/** What a worker needs. */
export interface WorkerOptions extends ServingOptions {
  /** Longest wait between two looks at the queue, in milliseconds. */
  pollMs: number
  /** True wakes it by the notifications of other processes too, on a connection of its own. */
  listen: boolean
}

/** A running worker. */
export interface Worker {
  /** Something was captured: looks at the queue now. */
  wake(): void
  /** Ends after the batches under way. */
  stop(): Promise<void>
}

/** Starts a worker. Errors are emitted as `queue:worker:error` and the loop goes on after a back-off. */
export function startWorker(options: WorkerOptions): Worker {
  const { clock, emitter } = options
  const stop = new AbortController()
  const bell = createBell(stop.signal)
  const lanes = createLanes(options, stop.signal, bell.ring)
  const beside = createBeside(options, stop.signal, bell.ring)
  const rounds = createRounds(options, lanes, beside, stop.signal)
  const wake = () => {
    rounds.expect()
    bell.ring()
  }
  const listening = options.listen ? listen(options, stop.signal, wake) : undefined
  const loop = async () => {
    emitter.emit('queue:worker:started', {})
    for (let failures = 0; !stop.signal.aborted;) {
      try {
        await bell.wait(await rounds.next())
        failures = 0
      } catch (error) {
        emitter.emit('queue:worker:error', { error })
        await clock.sleep(Math.min(10_000, 100 * 2 ** Math.min(failures++, 10)), stop.signal)
      }
    }
    await Promise.all([lanes.ended(), beside.ended(), listening])
    emitter.emit('queue:worker:stopped', {})
  }
  const running = loop()
  return {
    wake,
    async stop() {
      stop.abort()
      await running
    },
  }
}

/** First wait after something was found; also while another process dispatches: what it moves may be ours to process. */
const shortWaitMs = 20
/** By how much each wait is longer than the one before, up to `pollMs`. */
const growth = 1.5

interface Rounds {
  /** The next round begins with a dispatch: something was captured. */
  expect(): void
  /** One round; gives how long to wait for the next. */
  next(): Promise<number>
}

// An idle round is one statement. Where there was something a moment ago, there is likely to be more.
function createRounds(options: WorkerOptions, lanes: Lanes, beside: Beside, signal: AbortSignal): Rounds {
  const { store, prefix, pollMs, emitter } = options
  let served: Served[] = []
  let known: string | undefined
  let isExpected = true
  let waitMs = 0
  const takeChanges = async (): Promise<number> => {
    isExpected = false
    const taken = await dispatch(store)
    if (taken > 0) emitter.emit('queue:changes:dispatched', { changes: taken })
    return taken
  }
  const look = async () => {
    const seen = await lookAt(store, prefix, served.map((each) => each.version.id))
    if (seen.versions === known) return seen
    served = await servedVersions(options)
    known = seen.versions
    return await lookAt(store, prefix, served.map((each) => each.version.id))
  }
  return {
    expect: () => void (isExpected = true),
    async next() {
      const isTried = isExpected
      const taken = isTried ? await takeChanges() : 0
      const { changes, sweeps, due } = await look()
      if (signal.aborted) return 0
      beside.attend(served)
      if (sweeps) beside.sweep(served)
      const started = lanes.start(served.filter((each) => due.includes(each.version.id)))
      const isBusy = changes || taken !== 0 || started > 0
      waitMs = isBusy ? shortWaitMs : Math.max(shortWaitMs, waitMs * growth)
      isExpected ||= changes
      // What a dispatch left that took nothing is somebody else's at the moment.
      return changes && (!isTried || taken > 0) ? 0 : waitMs = Math.min(pollMs, waitMs)
    },
  }
}

/** What goes on beside the rounds, one of each at a time. */
interface Beside {
  /** Lists whole indexes. */
  sweep(served: readonly Served[]): void
  /** Once a minute. */
  attend(served: readonly Served[]): void
  ended(): Promise<unknown>
}

function createBeside(options: WorkerOptions, signal: AbortSignal, onDone: () => void): Beside {
  const { clock, emitter } = options
  const attendance = createAttendance(options)
  const sweeping = oneAtATime()
  const attending = oneAtATime()
  let attendAt = -Infinity
  let sweepAt = -Infinity
  let idle = 0
  const sweepOnce = async (served: readonly Served[]) => {
    const done = await sweep(options, served, signal)
    idle = done > 0 ? 0 : idle + 1
    // Those that are left are another's at the moment, or cannot be carried out: an index is closed, say.
    sweepAt = clock.now() + (done > 0 ? 0 : pauseMs(idle))
    if (done > 0) onDone()
  }
  const onError = (error: unknown) => emitter.emit('queue:worker:error', { error })
  return {
    sweep(served) {
      if (clock.now() >= sweepAt) sweeping.run(() => sweepOnce(served).catch(onError))
    },
    attend(served) {
      if (clock.now() < attendAt) return
      attendAt = clock.now() + noteMs
      attending.run(() => attendance(served).catch(onError))
    },
    ended: () => Promise.all([sweeping.ended(), attending.ended()]),
  }
}

function oneAtATime(): { run(work: () => Promise<void>): void; ended(): Promise<void> } {
  let underWay: Promise<void> | undefined
  return {
    run: (work) => void (underWay ??= work().finally(() => void (underWay = undefined))),
    ended: () => Promise.resolve(underWay),
  }
}
