/**
 * The worker of one process: dispatches, starts lanes and sweeps, waits.
 * @module
 */
import type { Definition } from '../search/definition.ts'
import { listVersions } from '../search/versions.ts'
import { dispatch } from './changes.ts'
import { createLanes, type LaneOptions, type Lanes } from './lanes.ts'
import { dueVersions } from './pending.ts'
import type { Served } from './process.ts'
import { sweep } from './sweep.ts'

/** What a worker needs. */
export interface WorkerOptions extends LaneOptions {
  prefix: string
  definitions: readonly Definition[]
  /** Longest wait between two looks at the queue, in milliseconds. */
  pollMs: number
  /** Ids of the only versions to work on; all that this code serves where it is not given. */
  only?: readonly string[] | undefined
}

/** A running worker. */
export interface Worker {
  /** Looks at the queue now. */
  wake(): void
  /** Ends after the batches under way. */
  stop(): Promise<void>
}

/**
 * Versions whose definition this code has, in every state in which they have a physical index. Read anew again and
 * again: versions come and go.
 */
export async function servedVersions(options: WorkerOptions): Promise<Served[]> {
  const byHash = new Map(options.definitions.map((each) => [`${each.name} ${each.hash}`, each.source]))
  const versions = await listVersions(options.store, options.prefix)
  return versions.flatMap((version) => {
    const source = byHash.get(`${version.index} ${version.hash}`)
    const isOurs = version.state !== 'created' && (options.only?.includes(version.id) ?? true)
    return source && isOurs ? [{ version, source }] : []
  })
}

/** Starts a worker. Errors are emitted as `queue:worker:error` and the loop goes on after a back-off. */
export function startWorker(options: WorkerOptions): Worker {
  const stop = new AbortController()
  const bell = createBell(stop.signal)
  const lanes = createLanes(options, stop.signal, bell.ring)
  const sweeper = createSweeper(options, stop.signal, bell.ring)
  const look = createLook(options, lanes, sweeper, stop.signal)
  const loop = async () => {
    for (let failures = 0; !stop.signal.aborted;) {
      try {
        await bell.wait(await look())
        failures = 0
      } catch (error) {
        options.emitter.emit('queue:worker:error', { error })
        await options.clock.sleep(Math.min(10_000, 100 * 2 ** Math.min(failures++, 10)), stop.signal)
      }
    }
    await Promise.all([lanes.ended(), sweeper.ended()])
  }
  const running = loop()
  return {
    wake: bell.ring,
    async stop() {
      stop.abort()
      await running
    },
  }
}

/** Wait while somebody else is dispatching: what he moves may be ours to process. */
const shortWaitMs = 20

// One look at the queue; gives how long to wait for the next.
function createLook(
  options: WorkerOptions,
  lanes: Lanes,
  sweeper: Sweeper,
  signal: AbortSignal,
): () => Promise<number> {
  const { clock, store, pollMs } = options
  let served: Served[] = []
  let readAt = -Infinity
  return async () => {
    const taken = await dispatch(store)
    if (clock.now() - readAt >= pollMs) {
      served = await servedVersions(options)
      readAt = clock.now()
      sweeper.start(served)
    }
    const due = new Set(await dueVersions(store, served.map((each) => each.version.id)))
    if (!signal.aborted) lanes.start(served.filter((each) => due.has(each.version.id)))
    return taken > 0 ? 0 : taken < 0 ? Math.min(shortWaitMs, pollMs) : pollMs
  }
}

interface Sweeper {
  start(served: readonly Served[]): void
  ended(): Promise<unknown>
}

// A sweep lists a whole index, so it runs beside the loop.
function createSweeper(options: WorkerOptions, signal: AbortSignal, onDone: () => void): Sweeper {
  let sweeping: Promise<void> | undefined
  return {
    start(served) {
      if (signal.aborted) return
      sweeping ??= sweep(options, served, signal)
        .then((done) => done > 0 && onDone(), (error) => options.emitter.emit('queue:worker:error', { error }))
        .then(() => void (sweeping = undefined))
    },
    ended: () => Promise.resolve(sweeping),
  }
}

interface Bell {
  ring(): void
  /** Resolves after the time, or when somebody rings, also one who did before. */
  wait(ms: number): Promise<void>
}

function createBell(signal: AbortSignal): Bell {
  let rung = false
  let end = () => {}
  const ring = () => {
    rung = true
    end()
  }
  signal.addEventListener('abort', ring)
  return {
    ring,
    async wait(ms) {
      if (!rung && ms > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms)
          end = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      rung = false
    },
  }
}
