/**
 * An outage of the cluster: one probe of a process asks whether it is back, and nobody sends anything before.
 * @module
 */
import { messageOf } from '../errors.ts'
import type { Emitter } from '../events.ts'
import type { Clock, SearchClient } from '../ports.ts'

/** What an outage needs. */
export interface OutageDeps {
  search: SearchClient
  clock: Clock
  emitter: Emitter
}

/** Whether the cluster answers, as far as this process knows. */
export interface Outage {
  /** True while nobody may send anything. */
  readonly isOpen: boolean
  /** A request failed: asks whether the cluster is there, again and again with growing pauses, until it is. */
  suspect(): void
  /** Milliseconds to wait before a batch: after an outage the waiting ones begin one after another. */
  delayMs(waiting: number): number
  /** Resolves when no probe is under way. */
  ended(): Promise<void>
}

const firstPauseMs = 100
const longestPauseMs = 10_000
const probeMs = 2_000
/** For how long after an outage, in milliseconds, beginnings are spread; and by how much for each that waits. */
const gentleMs = 2_000
const spreadMs = 20

/** A growing pause before the next try: half of it by chance, so that many processes do not try at the same moment. */
export function pauseMs(failures: number): number {
  return Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2)
}

/** Makes the watch of one process; `onBack` is called when the cluster answers again. */
export function createOutage(deps: OutageDeps, signal: AbortSignal, onBack: () => void): Outage {
  let probing: Promise<void> | undefined
  let gentleUntil = -Infinity
  return {
    get isOpen() {
      return probing !== undefined
    },
    suspect() {
      probing ??= probe(deps, signal).then(() => {
        probing = undefined
        gentleUntil = deps.clock.now() + gentleMs
        onBack()
      })
    },
    delayMs: (waiting) => deps.clock.now() < gentleUntil ? Math.random() * Math.min(gentleMs, waiting * spreadMs) : 0,
    ended: () => Promise.resolve(probing),
  }
}

async function probe({ search, clock, emitter }: OutageDeps, signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    const reason = await troubleOf(search)
    if (reason === undefined) return
    const retryInMs = pauseMs(failures)
    emitter.emit('queue:search:away', { reason, retryInMs })
    await clock.sleep(retryInMs, signal)
  }
}

// Any answer will do, also one that forbids the question.
async function troubleOf(search: SearchClient): Promise<string | undefined> {
  try {
    const { status } = await search.request({ method: 'GET', path: '/_cluster/health', timeoutMs: probeMs })
    return status >= 500 || status === 429 ? `it answers with ${status}` : undefined
  } catch (error) {
    return messageOf(error)
  }
}
