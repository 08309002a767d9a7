/**
 * Lanes: each processes batches of one version until nothing is due. One version's trouble is its own:
 * it waits with growing pauses and smaller batches while the others go on.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { createOutage, pauseMs } from './outage.ts'
import { type BatchSize, createBatchSize, createPace, type Pace } from './pace.ts'
import { type BatchResult, processBatch, type ProcessDeps, type Served, type Trouble } from './process.ts'

/** How many lanes, and how large their batches. */
export interface LaneOptions extends ProcessDeps {
  /** Most keys of a batch. */
  batchSize: number
  /** Most batches under way at once; every version that has something due has a lane, though. */
  concurrency: number
}

/** The lanes of one process. */
export interface Lanes {
  /**
   * Starts a lane for each version that has something due and none yet; gives their number. Where batches are full, more
   * follow. During an outage, and in the pause of a version after trouble of its own, none is started.
   */
  start(due: readonly Served[]): number
  /** Resolves when every lane that was started has ended. */
  ended(): Promise<void>
}

interface Lane {
  served: Served
  running: number
  size: BatchSize
  failures: number
  /** Time on the clock before which no batch is begun. */
  notBefore: number
  /** True until the cluster took a batch again. */
  away: boolean
}

/** What the lanes of a process share. */
interface Shared {
  options: LaneOptions
  signal: AbortSignal
  pace: Pace
  outage: ReturnType<typeof createOutage>
  /** Opens another lane for a version that has more than one can do, where there is room. */
  help(lane: Lane): void
}

/** Makes lanes; `onEnd` is called whenever one ends, and when the cluster is back. */
export function createLanes(options: LaneOptions, signal: AbortSignal, onEnd: () => void): Lanes {
  const lanes = new Map<string, Lane>()
  const running = new Set<Promise<void>>()
  const shared: Shared = {
    options,
    signal,
    pace: createPace(options.concurrency),
    outage: createOutage(options, signal, onEnd),
    help: (lane) => void (running.size < shared.pace.batches && lane.failures === 0 && open(lane)),
  }
  const open = (lane: Lane, delayMs = 0) => {
    lane.running++
    const work = options.clock.sleep(delayMs, signal).then(() => runLane(shared, lane))
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
  const laneOf = (served: Served): Lane => {
    const lane = lanes.get(served.version.id) ?? newLane(served, options.batchSize)
    lane.served = served
    lanes.set(served.version.id, lane)
    return lane
  }
  return {
    start(due) {
      if (shared.outage.isOpen) return 0
      const able = due.map(laneOf).filter((lane) => lane.running === 0 && lane.notBefore <= options.clock.now())
      for (const lane of able) open(lane, shared.outage.delayMs(able.length))
      return able.length
    },
    async ended() {
      while (running.size > 0) await Promise.all(running)
      await shared.outage.ended()
    },
  }
}

function newLane(served: Served, size: number): Lane {
  return { served, running: 0, size: createBatchSize(size), failures: 0, notBefore: 0, away: false }
}

async function runLane(shared: Shared, lane: Lane): Promise<void> {
  const { options, signal, outage, help } = shared
  while (!signal.aborted && !outage.isOpen && lane.notBefore <= options.clock.now()) {
    const size = lane.size.keys
    const result = await processBatch(options, lane.served, size, (claimed) => claimed === size && help(lane))
    if (result.trouble) return troubled(shared, lane, result.trouble, result.claimed)
    if (result.claimed > 0) succeeded(shared, lane, result)
    if (result.claimed < size) return
  }
}

function succeeded({ options, pace }: Shared, lane: Lane, { sent, claimed, ms }: BatchResult): void {
  if (lane.away) options.emitter.emit('queue:search:back', {})
  lane.away = false
  lane.failures = 0
  lane.size.wrote(claimed, sent)
  if (ms !== undefined) pace.wrote(sent, ms)
}

function troubled({ options, pace, outage }: Shared, lane: Lane, { scope, reason }: Trouble, claimed: number): void {
  // A row that cannot be read, or a request that is too large, is found by halves; the others go on without it.
  if ((scope === 'rows' || scope === 'size') && claimed > 1) return lane.size.halve(claimed)
  const retryInMs = pause(options, lane)
  if (scope === 'index') options.emitter.emit('queue:worker:error', { error: shut(lane.served, reason) })
  if (scope !== 'search') return
  lane.away = true
  lane.size.ease()
  pace.overloaded()
  options.emitter.emit('queue:search:away', { reason, retryInMs })
  outage.suspect()
}

function shut({ version }: Served, reason: string): ElasticUmzugError {
  return new ElasticUmzugError('SEARCH_FAILED', `${version.physical} does not take writes: ${reason}`, {
    next: `open it to writes again; where it is lost: npx umzug es:create ${version.index} --force, then npx umzug up`,
  })
}

function pause({ clock }: LaneOptions, lane: Lane): number {
  const ms = pauseMs(lane.failures++)
  lane.notBefore = clock.now() + ms
  return ms
}
