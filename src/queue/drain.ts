/**
 * Drains versions up to a mark: all that was committed before it is in the index.
 * @module
 */
import { markNow, type Unprocessed, unprocessed } from './changes.ts'
import { round, type WorkerOptions } from './worker.ts'

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

/** Waits until nothing up to the mark (default: now) is unprocessed; gives what is left when the time is up. */
export async function drain(options: WorkerOptions, drainOptions: DrainOptions): Promise<Unprocessed> {
  const { versionIds, work, timeoutMs = Infinity, signal } = drainOptions
  const mark = drainOptions.mark ?? await markNow(options.store)
  const started = options.clock.now()
  for (;;) {
    const worked = work && (await round(options, signal)).worked
    const left = await unprocessed(options.store, versionIds, mark)
    if (left.changes + left.pending === 0) return left
    if (signal?.aborted || options.clock.now() - started > timeoutMs) return left
    if (!worked) await options.clock.sleep(pollMs, signal)
  }
}
