/**
 * What will happen and when, all of it drawn from the seed.
 * @module
 */
import { focuses } from './focus.ts'
import { pick, type Weather } from './proxy.ts'

/** What can be done to the processes and servers. */
export type Strike =
  | 'kill'
  | 'stop'
  | 'end'
  | 'forget deletes'
  | 'close and open'
  | 'drop'
  | 'end backends'
  | 'freeze backends'
  | 'crash postgres'
  | 'search away'
  | 'kill elasticsearch'

/** One event. */
export interface Event {
  /** Milliseconds after the beginning of the round. */
  at: number
  strike: Strike
  /** Who is concerned, from 0 up to 1: a place in whatever list there is at the time. */
  whom: number
  /** For how long, in milliseconds. */
  ms: number
}

/** The plan of one round. */
export interface Plan {
  weather: Weather
  focus: string
  events: Event[]
}

/** What the plan is made for. */
export interface PlanOptions {
  lengthMs: number
  leaseMs: number
  /** Whether PostgreSQL and Elasticsearch are our own, to be killed. */
  ownPostgres: boolean
  ownElasticsearch: boolean
  weather: Weather
  /** What the round is hardest on. */
  focus: string
}

/** Draws the plan of a round. */
export function drawPlan(random: () => number, options: PlanOptions): Plan {
  const { lengthMs, leaseMs, weather, focus } = options
  const punctual = weather === 'punctual'
  const usual: Record<string, number> = {
    kill: 5,
    stop: 22,
    end: 1,
    'forget deletes': 40,
    'close and open': 2,
    drop: 8,
    'end backends': 6,
    'freeze backends': 14,
    'search away': 2,
  } satisfies Partial<Record<Strike, number>>
  const weights = Object.entries({ ...usual, ...focuses[focus]!.strikes }) as [Strike, number][]
  const possible = weights.filter(([strike]) =>
    (punctual || strike !== 'forget deletes' && strike !== 'close and open') &&
    (options.ownPostgres || strike !== 'freeze backends')
  )
  const events: Event[] = []
  for (let at = 500; at < lengthMs; at += 100 + random() * 250) {
    const strike = pick(random, possible)
    events.push({ at, strike, whom: random(), ms: leaseMs * (0.1 + 1.4 * random() ** 2) })
  }
  // Rare ones that take long have a place of their own, in every round.
  if (options.ownPostgres && random() < 0.6) {
    events.push({ at: lengthMs * (0.3 + 0.5 * random()), strike: 'crash postgres', whom: 0, ms: 200 })
  }
  if (options.ownElasticsearch && punctual) {
    events.push({ at: lengthMs * (0.3 + 0.5 * random()), strike: 'kill elasticsearch', whom: 0, ms: 0 })
  }
  return { weather, focus, events: events.sort((a, b) => a.at - b.at) }
}

/** The plan as lines. */
export function printPlan({ weather, focus, events }: Plan): string[] {
  const lines = events.map(({ at, strike, whom, ms }) =>
    `${Math.round(at)} ms: ${strike}, at ${whom.toFixed(2)}, for ${Math.round(ms)} ms`
  )
  return [`requests are ${weather}, focus: ${focus}`, ...lines]
}
