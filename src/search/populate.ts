/**
 * Fills a version from its source: key ranges in parallel, each page with a number drawn before it is read.
 *
 * Rule 8 of the protocol. Pages are sent without a claim on their keys. Against newer documents their number protects
 * them; against deletes that the cluster forgot, the deletes recorded meanwhile are applied again at the end (see `reapply.ts`). For that,
 * no page may be under way when the ranges are done: a range is given on only after its request was answered, or
 * after its lease, and requests end before the lease does.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Source } from '../ports.ts'
import { createThrottle, type LoadOptions } from './load.ts'
import { fillRange, type PageDeps, type Populating } from './pages.ts'
import { takeAll, type Taken } from './parallel.ts'
import { createPressure } from './pressure.ts'
import { createRegard } from './replicas.ts'
import { claimRange, planRanges, rangeProgress } from './ranges.ts'
import type { Version } from './versions.ts'

/** What populating needs. */
export type PopulateDeps = PageDeps

/** How to populate. */
export interface PopulateOptions {
  version: Version
  source: Source
  /** Ranges at work at once in this process. */
  workers: number
  /** Rows the source gives, for the progress. */
  expected: number
  /** Limits of this process. */
  load?: LoadOptions | undefined
  /** True takes part in what another process has planned, and plans nothing: where nothing is planned, nothing is done. */
  join?: boolean
  signal?: AbortSignal | undefined
  assertHeld?: () => void
}

const rowsPerRange = 25_000
const maxRanges = 256
/** Part of a lease that a request should take at most: the rest is for what happens in between. */
const slowShare = 0.1
/** How often the progress of the other processes is looked at, in milliseconds. */
const lookMs = 1_000

/** Populates what is not populated yet; more processes may call it at once. Ends when every range is done. */
export async function populate(deps: PopulateDeps, options: PopulateOptions): Promise<void> {
  const { store, clock } = deps
  const { version, source, signal, load = {} } = options
  const workers = load.workers ?? options.workers
  const parts = Math.max(1, Math.min(maxRanges, Math.ceil(options.expected / rowsPerRange)))
  if (!options.join && (await rangeProgress(store, version.id)).ranges === 0) {
    await planRanges(store, version.id, parts === 1 ? [] : await source.split(store.db, parts))
  }
  const throttle = createThrottle(clock, { ...load, workers })
  const run: Populating = {
    ...options,
    throttle,
    pressure: createPressure({ rows: throttle.rows, requests: workers, slowMs: deps.leaseMs * slowShare }),
    regard: createRegard(
      deps,
      (lagMs) =>
        deps.emitter.emit('populate:replicas:lagging', { index: version.index, version: version.number, lagMs }),
    ),
    onPage: reporting(deps, options),
  }
  await takeAll({ clock, workers, signal }, (signal) => fillNextRange(deps, { ...run, signal }))
  if (signal?.aborted) throw stopped(version)
}

/** The error of a run that the signal ended. */
export function stopped(version: Version): ElasticUmzugError {
  return new ElasticUmzugError('STOPPED', `Filling ${version.physical} was stopped at a checkpoint.`, {
    next: 'run the same command again; it goes on from there',
  })
}

async function fillNextRange(deps: PopulateDeps, options: Populating): Promise<Taken> {
  const { store } = deps
  const token = crypto.randomUUID()
  const range = await claimRange(store, options.version.id, token, deps.leaseMs)
  if (!range) {
    const { ranges, done } = await rangeProgress(store, options.version.id)
    return ranges === done ? 'done' : 'busy'
  }
  await fillRange(deps, options, range, token)
  return 'worked'
}

// What others have written is looked at now and then: to ask after every page would cost as much as storing it.
function reporting(deps: PopulateDeps, { version, expected }: PopulateOptions): Populating['onPage'] {
  let total = 0
  let lookedAt = -Infinity
  return async (documents) => {
    total += documents
    if (deps.clock.now() - lookedAt >= lookMs) {
      lookedAt = deps.clock.now()
      total = Math.max(total, (await rangeProgress(deps.store, version.id)).documents + documents)
    }
    const about = { index: version.index, version: version.number, documents, total, expected }
    deps.emitter.emit('populate:page:complete', about)
  }
}
