/**
 * The worker of one process: dispatches, processes, waits.
 * @module
 */
import PQueue from 'p-queue'
import type { Definition } from '../search/definition.ts'
import { listVersions } from '../search/versions.ts'
import { dispatch } from './changes.ts'
import { processBatch, type ProcessDeps, type Served } from './process.ts'
import { sweep } from './sweep.ts'

/** What a worker needs. */
export interface WorkerOptions extends ProcessDeps {
  prefix: string
  definitions: readonly Definition[]
  /** Most keys of a batch. */
  batchSize: number
  /** Batches under way at once. */
  concurrency: number
  /** Longest wait between two looks at the queue, in milliseconds. */
  pollMs: number
}

/** A running worker. */
export interface Worker {
  /** Looks at the queue now. */
  wake(): void
  /** Ends after the batches under way. */
  stop(): Promise<void>
}

/** Versions of a live state whose definition this code has. Read anew every round: versions come and go. */
export async function servedVersions(options: WorkerOptions): Promise<Served[]> {
  const byHash = new Map(options.definitions.map((each) => [`${each.name} ${each.hash}`, each.source]))
  const versions = await listVersions(options.store, options.prefix)
  return versions.flatMap((version) => {
    const source = byHash.get(`${version.index} ${version.hash}`)
    return source ? [{ version, source }] : []
  })
}

/** Starts a worker. Errors are emitted as `queue:worker:error` and the loop goes on after a back-off. */
export function startWorker(options: WorkerOptions): Worker {
  const stop = new AbortController()
  let woken = false
  let wakeUp = () => {}
  const wake = () => {
    woken = true
    wakeUp()
  }
  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      if (woken || stop.signal.aborted) return resolve()
      const timer = setTimeout(resolve, ms)
      wakeUp = () => (clearTimeout(timer), resolve())
    })
  const pause = (ms: number) => options.clock.sleep(ms, stop.signal)
  const loop = async () => {
    for (let failures = 0; !stop.signal.aborted;) {
      woken = false
      const outcome = await round(options, stop.signal).catch((error): RoundResult => {
        if (!stop.signal.aborted) options.emitter.emit('queue:worker:error', { error })
        return { worked: false, away: String(error) }
      })
      if (outcome.away !== undefined) {
        failures++
        await away(options, outcome.away, failures, pause, stop.signal)
      } else failures = 0
      if (!outcome.worked && outcome.away === undefined) await wait(options.pollMs)
    }
  }
  const running = loop()
  return {
    wake,
    async stop() {
      stop.abort()
      wakeUp()
      await running
    },
  }
}

interface RoundResult {
  worked: boolean
  away?: string
}

/** Dispatches once and processes one round of batches, every version in turn. */
export async function round(options: WorkerOptions, signal?: AbortSignal): Promise<RoundResult> {
  const taken = await dispatch(options.store)
  const served = await servedVersions(options)
  const queue = new PQueue({ concurrency: options.concurrency })
  const results = await Promise.all(served.flatMap((each) =>
    Array.from({ length: options.concurrency }, () =>
      queue.add(async () => signal?.aborted ? { claimed: 0 } : await processBatch(options, each, options.batchSize)))
  ))
  const swept = signal?.aborted ? 0 : await sweep(options, served)
  const gone = results.find((each) => each?.away !== undefined)?.away
  const claimed = results.reduce((sum, each) => sum + (each?.claimed ?? 0), 0)
  return { worked: taken > 0 || claimed > 0 || swept > 0, ...(gone === undefined ? {} : { away: gone }) }
}

// Waits with growing pauses, then one small request asks whether the cluster is back: no stampede of batches.
async function away(
  options: WorkerOptions,
  reason: string,
  failures: number,
  pause: (ms: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = failures; !signal.aborted; tries++) {
    const retryInMs = Math.min(10_000, 100 * 2 ** Math.min(tries, 10)) * (0.5 + Math.random() / 2)
    options.emitter.emit('queue:search:away', { reason, retryInMs })
    await pause(retryInMs)
    if (signal.aborted || await isBack(options)) return
  }
}

async function isBack(options: WorkerOptions): Promise<boolean> {
  const answer = await options.search.request({ method: 'GET', path: '/_cluster/health', timeoutMs: 2_000 })
    .catch(() => undefined)
  if (answer?.status !== 200) return false
  options.emitter.emit('queue:search:back', {})
  return true
}
