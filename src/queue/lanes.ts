/**
 * Lanes: each processes batches of one version until nothing is due. One version's trouble is its own:
 * it waits with growing pauses and smaller batches while the others go on.
 * @module
 */
import type { SearchClient } from '../ports.ts'
import { type BatchResult, processBatch, type ProcessDeps, type Served, type Trouble } from './process.ts'

/** How many lanes, and how large their batches. */
export interface LaneOptions extends ProcessDeps {
  /** Most keys of a batch. */
  batchSize: number
  /** Batches under way at once; every version that has something due has a lane, though. */
  concurrency: number
}

/** The lanes of one process. */
export interface Lanes {
  /** Starts lanes for versions that have something due, where there is room. */
  start(due: readonly Served[]): void
  /** Resolves when every lane that was started has ended. */
  ended(): Promise<void>
}

interface Lane {
  running: number
  size: number
  failures: number
  /** Batches written since the size was last changed. */
  streak: number
  /** Time on the clock before which no batch is begun. */
  notBefore: number
  /** True until the cluster took a batch again. */
  away: boolean
}

/** Bytes of a request beyond which the next batch is made smaller. */
const batchBytes = 5_000_000
const longestPauseMs = 10_000
/** Batches in a row after which a larger one is tried. */
const growAfter = 8

function newLane(size: number): Lane {
  return { running: 0, size, failures: 0, streak: 0, notBefore: 0, away: false }
}

/** Makes lanes; `onEnd` is called whenever one ends. */
export function createLanes(options: LaneOptions, signal: AbortSignal, onEnd: () => void): Lanes {
  const lanes = new Map<string, Lane>()
  const running = new Set<Promise<void>>()
  const laneOf = ({ version: { id } }: Served): Lane => {
    const lane = lanes.get(id) ?? newLane(options.batchSize)
    lanes.set(id, lane)
    return lane
  }
  const open = (served: Served, lane: Lane) => {
    lane.running++
    const work = runLane(options, served, lane, signal)
      .catch((error) => {
        options.emitter.emit('queue:worker:error', { error })
        pause(options, lane)
      })
      .finally(() => {
        lane.running--
        running.delete(work)
        onEnd()
      })
    running.add(work)
  }
  return {
    start(due) {
      const able = due.map((served) => ({ served, lane: laneOf(served) }))
        .filter(({ lane }) => lane.notBefore <= options.clock.now())
      for (const { served, lane } of able) if (lane.running === 0) open(served, lane)
      for (const { served, lane } of able) {
        if (running.size < options.concurrency && lane.failures === 0) open(served, lane)
      }
    },
    async ended() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}

async function runLane(options: LaneOptions, served: Served, lane: Lane, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && lane.notBefore <= options.clock.now()) {
    // One small request asks whether the cluster is back, so that a batch of claims does not hang on the answer.
    if (lane.away && !(await isBack(options.search))) {
      return troubled(options, lane, { scope: 'search', reason: 'no answer' })
    }
    const size = lane.size
    const result = await processBatch(options, served, size)
    if (result.trouble) return troubled(options, lane, result.trouble, result.claimed)
    if (result.claimed > 0) succeeded(options, lane, result)
    if (result.claimed < size) return
  }
}

function succeeded({ emitter, batchSize }: LaneOptions, lane: Lane, { sent, claimed }: BatchResult): void {
  if (lane.away) emitter.emit('queue:search:back', {})
  lane.away = false
  lane.failures = 0
  // Grown at once, a size that was too large would be tried again after every batch.
  const grown = ++lane.streak % growAfter === 0 ? lane.size * 2 : lane.size
  const fitting = sent === 0 ? batchSize : Math.floor(batchBytes * claimed / sent)
  lane.size = Math.max(1, Math.min(batchSize, grown, fitting))
}

function troubled(options: LaneOptions, lane: Lane, { scope, reason }: Trouble, claimed: number = 0): void {
  if (scope !== 'search' && claimed > 1) {
    // A row that cannot be read, or a request that is too large, is found by halves; the others go on without it.
    lane.size = Math.floor(Math.min(lane.size, claimed) / 2)
    lane.streak = 0
    return
  }
  const retryInMs = pause(options, lane)
  if (scope !== 'search') return
  lane.away = true
  options.emitter.emit('queue:search:away', { reason, retryInMs })
}

function pause({ clock }: LaneOptions, lane: Lane): number {
  const ms = Math.min(longestPauseMs, 100 * 2 ** Math.min(lane.failures++, 10)) * (0.5 + Math.random() / 2)
  lane.notBefore = clock.now() + ms
  return ms
}

// Any answer will do, also one that forbids the question.
async function isBack(search: SearchClient): Promise<boolean> {
  const answer = await search.request({ method: 'GET', path: '/_cluster/health', timeoutMs: 2_000 }).catch(() =>
    undefined
  )
  return answer !== undefined && answer.status < 500 && answer.status !== 429
}
