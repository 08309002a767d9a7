/**
 * What makes it likely that an index and its rows are no longer the same: kept until they were made equal again.
 * @module
 */
import type { Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'

/** What was seen. */
export type SuspicionKind =
  /** The database's marker is behind that of Elasticsearch, or it knows none. */
  | 'database-behind'
  /** Another database wrote the marker under this prefix. */
  | 'database-other'
  /** The same rows are in another place now: a dump, a copy, another server. */
  | 'database-moved'
  /** The server was promoted, or recovered to a point in time. */
  | 'timeline'
  /** The document clock is behind a number that it has drawn. */
  | 'clock-behind'
  /** The marker of Elasticsearch is behind that of the database. */
  | 'search-behind'
  /** It is another cluster. */
  | 'cluster'
  /** A physical index was restored, or made anew. */
  | 'index-restored'

/** A reason to compare rows and documents. */
export interface Suspicion {
  /** What was seen, as a word for programs. */
  kind: SuspicionKind
  /** Prefix of the indexes concerned. */
  prefix: string
  /** One sentence: what was seen. */
  message: string
  /** Physical names of the versions that were not made equal since. */
  versions: string[]
  /** ISO time. */
  notedAt: string
}

/** What was seen, before it is noted. */
export type Observation = Pick<Suspicion, 'kind' | 'message'>

/** SQL of the versions that a suspicion concerns still: those that were dropped or given up since are out of question. */
const concerned = ({ table }: Store) =>
  `${table.index_versions} v WHERE v.id = ANY (s.version_ids) AND v.state <> 'dropped' AND v.abandoned_at IS NULL`

/** All that is suspected, of every prefix, oldest first. The own tables must exist. */
export async function listSuspicions(store: Store): Promise<Suspicion[]> {
  return await store.db.query<Suspicion>(
    `SELECT s.kind, s.prefix, s.message, to_json(s.noted_at) #>> '{}' AS "notedAt",
       (SELECT json_agg(v.physical ORDER BY v.physical) FROM ${concerned(store)}) AS versions
     FROM ${store.table.suspicions} s WHERE EXISTS (SELECT FROM ${concerned(store)}) ORDER BY s.noted_at, s.kind`,
  )
}

/** Notes what was seen against versions; seen again, it is noted again. */
export async function noteSuspicions(
  store: Store,
  on: Queryable,
  prefix: string,
  versionIds: readonly string[],
  seen: readonly Observation[],
): Promise<void> {
  await on.query(
    `INSERT INTO ${store.table.suspicions} AS s (prefix, kind, message, version_ids)
     SELECT $1, kind, message, $2::bigint[] FROM unnest($3::text[], $4::text[]) AS o(kind, message)
     ON CONFLICT (prefix, kind) DO UPDATE
       SET message = excluded.message, version_ids = excluded.version_ids, noted_at = clock_timestamp()`,
    [prefix, versionIds, seen.map((each) => each.kind), seen.map((each) => each.message)],
  )
}

/** Milliseconds since something was noted last under a prefix; undefined when nothing is. */
export async function sinceNoted({ db, table }: Store, prefix: string): Promise<number | undefined> {
  const [row] = await db.query<{ ms: number | null }>(
    `SELECT (extract(epoch FROM clock_timestamp() - max(noted_at)) * 1000)::float8 AS ms
     FROM ${table.suspicions} WHERE prefix = $1`,
    [prefix],
  )
  return row!.ms ?? undefined
}

/** The first suspicion that concerns a version, by its physical name; undefined where none does. */
export async function suspicionOf(store: Store, physical: string): Promise<Suspicion | undefined> {
  return (await listSuspicions(store)).find((each) => each.versions.includes(physical))
}

/** A moment on the database's clock, which is that of its rows. */
export async function momentNow({ db }: Store): Promise<string> {
  return (await db.query<{ now: string }>(`SELECT to_json(clock_timestamp()) #>> '{}' AS now`))[0]!.now
}

/**
 * Takes a version that was made equal to its rows out of what was suspected before that began. What then concerns no
 * version any more is forgotten.
 */
export async function clearSuspicions(store: Store, versionId: string, before: string): Promise<void> {
  await store.db.query(
    `UPDATE ${store.table.suspicions} SET version_ids = array_remove(version_ids, $1::bigint)
     WHERE noted_at < $2::timestamptz AND $1::bigint = ANY (version_ids)`,
    [versionId, before],
  )
  await store.db.query(
    `DELETE FROM ${store.table.suspicions} s WHERE NOT EXISTS (SELECT FROM ${concerned(store)})`,
  )
}
