/**
 * Rule 1 of the protocol: before a version reads its first row, every running process must record what the version depends on, old code too:
 * otherwise a row could be read, then changed unseen.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { type Clock, marginMs, watchMs } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { announce } from './revisions.ts'
import type { Version } from './versions.ts'

const pollMs = 50

/** What waiting needs. */
export interface WriterDeps {
  store: Store
  clock: Clock
  /**
   * True where nobody has ever looked at the own schema but whoever made it: no process records its writes there yet, so none
   * can miss what a version needs. From the first capture on, it must not be true.
   */
  alone?: boolean | undefined
  signal?: AbortSignal | undefined
  onLine(line: string): void
}

/**
 * Waits until whatever writes to the tables of a version records what the version needs: at once where versions that
 * were populated before need the same, else for as long as running processes may not know of it, and then for the
 * transactions that had written by that time. Nothing is left behind by a crash; the next run waits again. Throws
 * `STOPPED` at the signal: then it is not known whether all of them have ended.
 */
export async function awaitWriters(deps: WriterDeps, version: Version): Promise<void> {
  const tables = await newlyRead(deps.store, version.id)
  if (tables.length === 0) return
  await announce(deps.store, version.id)
  if (deps.alone) return
  await awaitWritersOf(deps, { tables, name: version.physical })
}

/** Tables, and the name under which the wait for their writers is told. */
export interface Awaited {
  /** As `schema.name`. */
  tables: readonly string[]
  name: string
}

/**
 * Waits until no write to the tables is on its way that was planned by what was known before the call: for as long as
 * running processes may go on by that, and then for the transactions that had written by that time. Throws `STOPPED`.
 */
export async function awaitWritersOf(deps: WriterDeps, { tables, name }: Awaited): Promise<void> {
  await pause(deps, name, watchMs + marginMs)
  let told = false
  const writing = await writers(deps.store, tables)
  for (let left = writing; left.length > 0;) {
    if (!told) deps.onLine(`${name}: waiting for ${left.length} open transactions that wrote to its tables`)
    told = true
    await pause(deps, name, pollMs)
    const still = new Set(await writers(deps.store, tables))
    left = writing.filter((each) => still.has(each))
  }
}

async function pause({ clock, signal }: WriterDeps, name: string, ms: number): Promise<void> {
  await clock.sleep(ms, signal)
  if (!signal?.aborted) return
  throw new ElasticUmzugError('STOPPED', `${name}: stopped while it waited for writers of its tables.`, {
    next: 'run the same command again; it waits for them again',
  })
}

// Tables of which it reads or joins by a column that no other version does whose own wait is over.
async function newlyRead(store: Store, id: string): Promise<string[]> {
  const rows = await store.db.query<{ table: string }>(
    `WITH needs AS (
       SELECT v.id = $1 AS mine, e ->> 'table' AS "table", need.kind, c.name
       FROM ${store.table.index_versions} v
       CROSS JOIN jsonb_array_elements(v.dependencies) e
       CROSS JOIN LATERAL (VALUES ('columns'), ('capture')) AS need(kind)
       CROSS JOIN LATERAL jsonb_array_elements_text(e -> need.kind) AS c(name)
       WHERE v.id = $1 OR v.state NOT IN ('created', 'dropped') AND NOT v.awaits_writers)
     SELECT DISTINCT "table" FROM (
       SELECT "table", kind, name FROM needs WHERE mine EXCEPT SELECT "table", kind, name FROM needs WHERE NOT mine) n`,
    [id],
  )
  return rows.map((each) => each.table)
}

// Whoever has written to a table, or is about to, holds its lock until the end of the transaction, or waits for it behind
// somebody else's (an index build, LOCK TABLE): such a statement was made before it waited, by what was known then. Also
// that of a partition or child, and of a table whose foreign keys carry a change on to it.
async function writers(store: Store, tables: readonly string[]): Promise<string[]> {
  const rows = await store.db.query<{ writer: string }>(
    `WITH RECURSIVE concerned (oid) AS (
       SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname || '.' || c.relname = ANY ($1)
       UNION SELECT other.oid FROM concerned CROSS JOIN LATERAL (
         SELECT i.inhrelid AS oid FROM pg_inherits i WHERE i.inhparent = concerned.oid
         UNION ALL SELECT k.confrelid FROM pg_constraint k WHERE k.conrelid = concerned.oid
           AND k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))) other)
     SELECT DISTINCT l.virtualtransaction AS writer FROM pg_locks l JOIN concerned ON concerned.oid = l.relation
     WHERE l.locktype = 'relation'
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND l.mode IN ('RowShareLock', 'RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`,
    [tables],
  )
  return rows.map((each) => each.writer)
}
