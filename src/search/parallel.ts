/**
 * Pieces of work that several processes share, taken by several lanes of this one.
 * @module
 */
import PQueue from 'p-queue'
import type { Clock } from '../ports.ts'

/** What taking a piece came to: it was worked on; others hold what is left; nothing is left. */
export type Taken = 'worked' | 'busy' | 'done'

/** How to take them. */
export interface Taking {
  clock: Clock
  /** Pieces at work at once. */
  workers: number
  signal?: AbortSignal | undefined
}

/**
 * Takes pieces until nothing is left or the signal comes. The first fault ends every lane and is thrown when all have
 * ended: nothing goes on writing after this function.
 */
export async function takeAll(
  { clock, workers, signal }: Taking,
  take: (signal: AbortSignal) => Promise<Taken>,
): Promise<void> {
  const failed = new AbortController()
  const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal
  const lane = async () => {
    for (let idle = 0; !either.aborted;) {
      const taken = await take(either)
      if (taken === 'done') return
      // They end, or their lease does.
      if (taken === 'busy') await clock.sleep(Math.min(1_000, 50 * 2 ** idle++), either)
      else idle = 0
    }
  }
  const failing = (error: unknown) => {
    failed.abort()
    throw error
  }
  const queue = new PQueue({ concurrency: workers })
  const lanes = Array.from({ length: workers }, () => queue.add(() => lane().catch(failing)))
  const ended = await Promise.allSettled(lanes)
  for (const each of ended) if (each.status === 'rejected') throw each.reason
}
