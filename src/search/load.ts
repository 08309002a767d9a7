/**
 * Limits that a populate keeps in this process.
 * @module
 */
import type { Clock } from '../ports.ts'

/** Limits of one populate, of this process alone. */
export interface LoadOptions {
  /** Most rows of a page. Default 8,000; pages are smaller where documents are large. */
  batchSize?: number
  /** Most documents a second, over all ranges of this process. Default: what the cluster takes. */
  rate?: number
  /** Key ranges at work at once. Default `concurrency` of the config. */
  workers?: number
}

/** Rows of a page where nothing else is said. Larger ones gain nothing. */
const mostRows = 8_000

/** Holds a process to its rate. */
export interface Throttle {
  /** Most rows of a page. */
  readonly rows: number
  /** Waits until so many more documents may be sent, or the signal aborts. */
  wait(documents: number, signal?: AbortSignal): Promise<void>
}

/**
 * Makes what holds a process to its limits. A page is at most what the rate allows in a second to each of the ranges, so
 * that nothing waits for long between being read and being sent.
 */
export function createThrottle(clock: Clock, { batchSize = mostRows, rate, workers = 1 }: LoadOptions): Throttle {
  if (rate === undefined) return { rows: batchSize, wait: () => Promise.resolve() }
  let free = 0
  return {
    rows: Math.max(1, Math.min(batchSize, Math.floor(rate / workers))),
    async wait(documents, signal) {
      const now = clock.now()
      const start = Math.max(now, free)
      free = start + documents * 1_000 / rate
      if (start > now) await clock.sleep(start - now, signal)
    },
  }
}
