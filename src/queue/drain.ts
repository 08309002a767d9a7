/**
 * Drains versions up to a mark: all that was committed before it is in the index.
 * @module
 */
import { dispatch, markNow, type Unprocessed, unprocessed } from './changes.ts'
import { startWorker, type WorkerOptions } from './worker.ts'

/** How long to drain. */
export interface DrainOptions {
  versionIds: readonly string[]
  /** True processes here; false waits for others to do it. */
  work: boolean
  /** Milliseconds after which it gives up. */
  timeoutMs?: number
  signal?: AbortSignal | undefined
  mark?: string
}

const pollMs = 20
/** Counting is work of its own, however little is left to wait for among millions: it gets a share of the time. */
const shareOfTime = 5

/** How long to wait between two counts, in milliseconds, when the last one took so long. */
export function pauseAfter(countedInMs: number, shortestMs: number = pollMs): number {
  return Math.max(shortestMs, shareOfTime * countedInMs)
}

/**
 * Waits until nothing up to the mark (default: now) is unprocessed; gives what is left when the time is up or the
 * signal came. Aborted keys are counted, not waited for.
 */
export async function drain(options: WorkerOptions, drainOptions: DrainOptions): Promise<Unprocessed> {
  const { versionIds, work, timeoutMs = Infinity, signal } = drainOptions
  const mark = drainOptions.mark ?? await markNow(options.store)
  const started = options.clock.now()
  const worker = work ? startWorker({ ...options, only: versionIds }) : undefined
  try {
    for (;;) {
      // Changes are dispatched here in any case: that needs nobody who knows the definition.
      if (!worker) await dispatch(options.store)
      const asked = options.clock.now()
      const left = await unprocessed(options.store, versionIds, mark)
      const now = options.clock.now()
      if (left.changes + left.pending === 0) return left
      if (signal?.aborted || now - started > timeoutMs) return left
      await options.clock.sleep(Math.min(pauseAfter(now - asked), timeoutMs), signal)
    }
  } finally {
    await worker?.stop()
  }
}
