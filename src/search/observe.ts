/**
 * What two looks at the markers tell about the time between them.
 * @module
 */
import type { Mark, SeenCluster } from './marker-search.ts'
import type { Observation } from './suspicions.ts'

/** The database's marker: what was seen at the last look. */
export interface Kept {
  /** Counter; 0 before the first look. */
  n: number
  databaseId: string
  /** Where the database was: its oid, system identifier and timeline, as far as they can be read. */
  identity: Record<string, string>
  cluster: string | null
  nodes: Record<string, string> | null
  indexes: Record<string, string>
}

/** What is seen now. */
export interface Seen extends SeenCluster {
  identity: Record<string, string>
  /** The number that the document clock would draw. */
  clock: string
  /** The highest number drawn. */
  drawn: string
  /** The marker in Elasticsearch. */
  mark: Mark | undefined
}

/** What is to be kept and noted. */
export interface Observed {
  seen: Observation[]
  /** The counter from now on. */
  n: number
  /** True when nodes came that were not there before, or went. */
  restarted: boolean
}

/** Compares what was kept with what is seen. */
export function observe(kept: Kept, now: Seen): Observed {
  const there = now.mark?.n ?? 0
  // A step that was broken off is made good first: so the database is never two ahead, however often a process dies there.
  const n = there === kept.n - 1 ? kept.n : Math.max(there, kept.n) + 1
  const seen = [...counters(kept, now), ...places(kept, now), ...clusters(kept, now)]
  return { seen, n, restarted: kept.nodes !== null && now.nodes !== null && !isSame(kept.nodes, now.nodes) }
}

function counters(kept: Kept, { mark, clock }: Seen): Observation[] {
  const seen: Observation[] = []
  const there = mark?.n ?? 0
  if (mark && mark.databaseId !== kept.databaseId) {
    seen.push({ kind: 'database-other', message: 'another database has written under this prefix' })
  } else if (there > kept.n) {
    const message = 'the database was restored to an older moment, or failed over to a replica that lagged behind ' +
      `(its marker is at ${kept.n}, that of Elasticsearch at ${there})`
    seen.push({ kind: 'database-behind', message })
  }
  if (there < kept.n - 1) {
    const name = mark ? '' : ', or the database has another name'
    const message = `Elasticsearch was restored from a snapshot, or is another one${name} ` +
      `(its marker is at ${there}, that of the database at ${kept.n})`
    seen.push({ kind: 'search-behind', message })
  }
  if (mark && BigInt(mark.highest) > BigInt(clock)) {
    seen.push({ kind: 'clock-behind', message: `the document clock has drawn ${mark.highest}, and is at ${clock} now` })
  }
  return seen
}

const placeNames: Record<string, string> = {
  database: 'the database was made anew under its name, from a dump or a copy',
  system: 'the database is on another PostgreSQL server, by its system identifier',
}

// Also the marker in Elasticsearch holds where the database was: a restored one has forgotten.
function places({ identity }: Kept, { identity: now, mark }: Seen): Observation[] {
  const moved = Object.keys(now).filter((name) =>
    [identity[name], mark?.identity[name]].some((before) => before !== undefined && before !== now[name])
  )
  const places = moved.flatMap((name) => placeNames[name] ?? [])
  return [
    ...(places.length > 0 ? [{ kind: 'database-moved', message: places.join('; ') } as const] : []),
    ...(moved.includes('timeline')
      ? [
        { kind: 'timeline', message: `PostgreSQL was promoted or recovered: its timeline is ${now.timeline}` } as const,
      ]
      : []),
  ]
}

function clusters(kept: Kept, now: Seen): Observation[] {
  const seen: Observation[] = []
  if (kept.cluster !== null && now.cluster !== null && kept.cluster !== now.cluster) {
    seen.push({ kind: 'cluster', message: `it is another Elasticsearch cluster: ${now.cluster}` })
  }
  const other = Object.keys(now.indexes).filter((name) =>
    kept.indexes[name] !== undefined && kept.indexes[name] !== now.indexes[name]
  )
  if (other.length > 0) {
    seen.push({ kind: 'index-restored', message: `restored or made anew in Elasticsearch: ${other.sort().join(', ')}` })
  }
  return seen
}

function isSame(one: Record<string, string>, other: Record<string, string>): boolean {
  const names = Object.keys(one)
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name])
}
