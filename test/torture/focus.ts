/**
 * What a round is hardest on. Faults that need several things to happen at once are seldom met where everything is
 * equally likely: each of these makes some of them likely together, and leaves the rest to chance.
 * @module
 */
import type { Place } from '../fixtures/library/stalls.ts'
import type { Knobs } from '../support/library.ts'
import type { Strike } from './plan.ts'
import type { Fates, Weather } from './proxy.ts'

/** What is likelier than elsewhere in a round. */
export interface Focus {
  /** The weather in which it can hurt; any where none is named. */
  weather?: Exclude<Weather, 'calm'>
  /** Where statements are late. */
  stallAt?: Place
  /** Length of a claim, in milliseconds. Default 1,000. */
  leaseMs?: number
  /** Most keys of a batch: small ones make a process claim several at once. */
  batchSize?: number
  /** Most batches of a process at once. */
  concurrency?: number
  /** Keys that are written at a time, and milliseconds after which another takes the place of the first. */
  hot?: { width: number; moveMs: number }
  /** Milliseconds between two writes of one lane of a writer. */
  pauseMs?: number
  /** Share of the writes that take documents away or bring them back. */
  comings?: number
  /** Weights of strikes, in place of the usual ones. */
  strikes?: Partial<Record<Strike, number>>
  /** Weights of what happens to requests, beside the usual ones. */
  fates?: Fates
}

// A key is changed about once a second while it is hot, and not again in this round.
const warm = { hot: { width: 60, moveMs: 80 }, pauseMs: 40 }
// More keys, each more seldom: most of what goes wrong while a version is built is not made good by a later write.
const wide = { hot: { width: 150, moveMs: 60 }, pauseMs: 70 }
// What holds up the drains of a populate makes versions rare.
const manyVersions = { bulk: { pass: 600 }, deletes: { pass: 600 } }
const seldom = { kill: 1, 'end backends': 1, 'freeze backends': 2, stop: 5, 'search away': 0.5, 'close and open': 0.5 }

/** All of them, by name. */
export const focuses: Readonly<Record<string, Focus>> = {
  anything: {},
  // Pages that are read, and then written by workers before they are sent.
  builds: {
    stallAt: 'page',
    leaseMs: 3_000,
    ...wide,
    strikes: seldom,
    fates: { ...manyVersions, page: { pass: 300 } },
  },
  // Dispatches that begin before a version is registered and end after its rows are read.
  dispatches: { stallAt: 'dispatch', ...wide, strikes: seldom, fates: manyVersions },
  // Claims that run out before they are settled, while the same process claims the same keys again.
  settling: {
    stallAt: 'settle',
    batchSize: 2,
    concurrency: 6,
    ...warm,
    strikes: seldom,
    fates: { bulk: { lose: 12, 'too many': 6, hang: 4 } },
  },
  // Batches that are sent long after they were read.
  reading: { weather: 'punctual', stallAt: 'read', ...warm, comings: 0.6, strikes: seldom },
  // Pages on their way while rows that they hold are deleted and the deletes are forgotten.
  pages: {
    weather: 'punctual',
    leaseMs: 3_000,
    ...wide,
    pauseMs: 40,
    comings: 0.9,
    strikes: { ...seldom, 'forget deletes': 60, drop: 4 },
    fates: { ...manyVersions, page: { hold: 400 } },
  },
  // Versions that are dropped while deletes are on their way to them.
  drops: {
    weather: 'late',
    batchSize: 2,
    ...warm,
    comings: 0.8,
    strikes: { ...seldom, drop: 16 },
    fates: { deletes: { 'cut, lands later': 60 } },
  },
}

/** Environment of the processes. */
export function knobsOf({ stallAt, leaseMs, batchSize, concurrency, hot, pauseMs, comings }: Focus): Knobs {
  return {
    STALL_AT: stallAt,
    ...(leaseMs === undefined ? {} : { LEASE_MS: leaseMs }),
    BATCH_SIZE: batchSize ?? 30,
    CONCURRENCY: concurrency,
    HOT_WIDTH: hot?.width,
    HOT_MOVE_MS: hot?.moveMs,
    PAUSE_MS: pauseMs,
    COMINGS: comings,
  }
}

/** Names of those that can hurt in a weather. */
export function focusesFor(weather: Weather): string[] {
  return Object.keys(focuses).filter((name) => (focuses[name]!.weather ?? weather) === weather)
}
