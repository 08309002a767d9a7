/**
 * A marker on both sides, in the database and in Elasticsearch: it tells when one of them went back in time, or is
 * another one.
 *
 * One process at a time compares both, then counts them up: first the database's, then that of Elasticsearch. A crash in
 * between leaves the database one step ahead, and the next one makes that step good before it counts on.
 * @module
 */
import type { Queryable, SearchClient } from '../ports.ts'
import { quoteText } from '../sql.ts'
import { lockKey } from '../store/lock.ts'
import type { Store } from '../store/store.ts'
import { peekNumber } from './clock.ts'
import { type Mark, markerName, readCluster, readMark, writeMark } from './marker-search.ts'
import { type Kept, observe, type Seen } from './observe.ts'
import { noteRestart } from './restart.ts'
import { noteSuspicions, type Observation } from './suspicions.ts'

/** What looking needs. */
export interface MarkDeps {
  store: Store
  search: SearchClient
  /** Prefix of the indexes. */
  prefix: string
}

/** What a look found. */
export interface Look {
  /** What makes it likely that rows and documents differ. */
  seen: Observation[]
  /** True when nodes of the cluster were started since the last look. */
  restarted: boolean
}

/**
 * Compares the markers and counts them up, unless that was done less than `everyMs` milliseconds ago or another process
 * is at it: then it gives undefined. What is suspected is noted against every version that may be concerned; a restart of
 * nodes asks for a check of the ids of every version. Throws when Elasticsearch does not answer or forbids it.
 */
export async function lookAtMarks(deps: MarkDeps, everyMs: number): Promise<Look | undefined> {
  const { store, search, prefix } = deps
  if (everyMs > 0 && !(await isDue(store, prefix, everyMs))) return undefined
  const identity = await readIdentity(store)
  const looked = await store.db.transaction((tx) => compare(deps, tx, everyMs, identity))
  if (!looked) return undefined
  await writeMark(search, looked.name, looked.mark)
  return looked.look
}

/** The highest number that the database is known to have drawn, by the marker in Elasticsearch. */
export async function highestMarked({ store, search, prefix }: MarkDeps): Promise<bigint | undefined> {
  const mark = await readMark(search, await nameOf(store, store.db, prefix))
  return mark && BigInt(mark.highest)
}

async function nameOf({ schema }: Store, on: Queryable, prefix: string): Promise<string> {
  const [row] = await on.query<{ name: string }>('SELECT current_database()::text AS name')
  return markerName(prefix, schema, row!.name)
}

const dueSql = ({ table }: Store) =>
  `SELECT NOT EXISTS (SELECT FROM ${table.search_marks} WHERE prefix = $1
     AND looked_at > clock_timestamp() - $2 * interval '1 millisecond') AS due`

async function isDue(store: Store, prefix: string, everyMs: number, on: Queryable = store.db): Promise<boolean> {
  return (await on.query<{ due: boolean }>(dueSql(store), [prefix, everyMs]))[0]!.due
}

// Elasticsearch is read under the lock, after the row: nobody counts up the one while the other is read.
async function compare(
  deps: MarkDeps,
  tx: Queryable,
  everyMs: number,
  identity: Record<string, string>,
): Promise<{ look: Look; name: string; mark: Mark } | undefined> {
  const { store, search, prefix } = deps
  // The transaction waits for answers of Elasticsearch, for longer than the application may allow.
  await tx.query(`SELECT set_config('idle_in_transaction_session_timeout', '0', true)`)
  const lock = lockKey(quoteText(store.schema), quoteText(`marker.${prefix}`))
  const [held] = await tx.query<{ got: boolean }>(`SELECT pg_try_advisory_xact_lock(${lock}) AS got`)
  if (!held!.got || (everyMs > 0 && !(await isDue(store, prefix, everyMs, tx)))) return undefined
  await tx.query(`INSERT INTO ${store.table.search_marks} (prefix) VALUES ($1) ON CONFLICT DO NOTHING`, [prefix])
  const kept = await readKept(store, tx, prefix)
  const versions = await liveVersions(store, tx, prefix)
  const name = await nameOf(store, tx, prefix)
  const now: Seen = {
    identity,
    clock: String(await peekNumber(store, tx)),
    drawn: await readDrawn(store, tx),
    mark: await readMark(search, name),
    ...await readCluster(search, [name, ...versions.map((each) => each.physical)]),
  }
  const { seen, n, restarted } = observe(kept, now)
  // Before there is a version, nothing can differ.
  const ids = versions.map((each) => each.id)
  const noted = ids.length === 0 ? [] : seen
  if (noted.length > 0) await noteSuspicions(store, tx, prefix, ids, noted)
  if (restarted) await noteRestart(store, tx, ids)
  await keep(store, tx, prefix, n, now)
  const mark = { n, databaseId: kept.databaseId, identity, cluster: now.cluster, highest: now.drawn }
  return { name, mark, look: { seen: noted, restarted } }
}

async function readKept({ table }: Store, tx: Queryable, prefix: string): Promise<Kept> {
  const [row] = await tx.query<Kept>(
    `SELECT n::float8 AS n, database_id AS "databaseId", identity, cluster, nodes, indexes
     FROM ${table.search_marks} WHERE prefix = $1`,
    [prefix],
  )
  return row!
}

async function keep({ table }: Store, tx: Queryable, prefix: string, n: number, now: Seen): Promise<void> {
  // What could not be read now stays what it was.
  await tx.query(
    `UPDATE ${table.search_marks} SET n = $2, identity = identity || $3::jsonb, cluster = coalesce($4, cluster),
       nodes = coalesce($5::jsonb, nodes), indexes = $6::jsonb, looked_at = clock_timestamp() WHERE prefix = $1`,
    [
      prefix,
      n,
      JSON.stringify(now.identity),
      now.cluster,
      now.nodes && JSON.stringify(now.nodes),
      JSON.stringify(now.indexes),
    ],
  )
}

async function readDrawn({ table }: Store, tx: Queryable): Promise<string> {
  return (await tx.query<{ n: string }>(`SELECT n FROM ${table.document_clock}`))[0]!.n
}

async function liveVersions(
  { table }: Store,
  tx: Queryable,
  prefix: string,
): Promise<{ id: string; physical: string }[]> {
  return await tx.query(
    `SELECT v.id, v.physical FROM ${table.index_versions} v JOIN ${table.indexes} i ON i.id = v.index_id
     WHERE i.prefix = $1 AND v.state NOT IN ('created', 'dropped') AND v.abandoned_at IS NULL ORDER BY v.id`,
    [prefix],
  )
}

// Some providers forbid the functions that tell, which would be noted in the server's log at every try; others have servers
// in which they fail. So each is asked by itself, outside of any transaction.
async function readIdentity({ db }: Store): Promise<Record<string, string>> {
  const [may] = await db.query<{ control: boolean; wal: boolean }>(
    `SELECT has_function_privilege('pg_control_system()', 'EXECUTE') AS control,
       has_function_privilege('pg_walfile_name(pg_lsn)', 'EXECUTE') AS wal`,
  )
  const parts = {
    database: `SELECT oid::text AS value FROM pg_database WHERE datname = current_database()`,
    ...(may!.control ? { system: `SELECT system_identifier::text AS value FROM pg_control_system()` } : {}),
    ...(may!.wal ? { timeline: `SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS value` } : {}),
  }
  const identity: Record<string, string> = {}
  for (const [name, sql] of Object.entries(parts)) {
    const [row] = await db.query<{ value: string }>(sql).catch(() => [])
    if (row) identity[name] = row.value
  }
  return identity
}
