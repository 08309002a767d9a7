/**
 * A table locked for its triggers, without standing in front of the application's traffic.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Clock, Queryable, Table } from '../ports.ts'
import { quoteTable } from '../sql.ts'
import type { Store } from '../store/store.ts'

/** What changing triggers needs. */
export interface TriggerDeps {
  store: Store
  clock: Clock
  signal?: AbortSignal | undefined
  onLine(line: string): void
}

/** `SHARE ROW EXCLUSIVE` waits for writers, `ACCESS EXCLUSIVE` for readers too: what dropping a trigger takes. */
export type LockMode = 'SHARE ROW EXCLUSIVE' | 'ACCESS EXCLUSIVE'

// Whoever comes after a waiting lock waits behind it, so it waits for this long and then lets them pass.
const lockMs = 200
const pauseMs = 300
// PostgreSQL ends an autovacuum that somebody has waited for longer than deadlock_timeout, by default a second.
const vacuumMs = 2_000
/** After so many tries it is told once more who is in the way. */
const tellEvery = 40

/**
 * Runs the work in a transaction that holds the lock of a table and of the record of all triggers. Once it has the lock,
 * every transaction that wrote by older triggers has ended. It polls, and tells who is in the way. Where that is only
 * autovacuum, it waits until PostgreSQL ends that. Gives undefined when the table is gone. Throws `STOPPED` at the
 * signal, and whatever the work throws; then nothing was changed.
 */
export async function withTable<T>(
  deps: TriggerDeps,
  table: Table,
  mode: LockMode,
  work: (tx: Queryable) => Promise<T>,
): Promise<T | undefined> {
  const { store, clock, signal } = deps
  let waitMs = lockMs
  for (let tries = 0;; tries++) {
    if (signal?.aborted) throw stopped(table)
    try {
      return await store.db.transaction(async (tx) => {
        await tx.query(`SELECT set_config('lock_timeout', $1, true)`, [`${waitMs}ms`])
        await tx.query(`LOCK TABLE ${quoteTable(table)} IN ${mode} MODE`)
        await tx.query(`SELECT set_config('lock_timeout', $1, true)`, [`${lockMs}ms`])
        await tx.query(`LOCK TABLE ${store.table.captured_tables} IN SHARE ROW EXCLUSIVE MODE`)
        return await work(tx)
      })
    } catch (error) {
      const code = (error as { code?: unknown } | null)?.code
      if (code === undefinedTable && !(await isThere(store, table))) return undefined
      if (!isTaken(error)) throw error
    }
    waitMs = lockMs
    if (tries % tellEvery === 0) {
      const { line, isVacuum } = await waiting(store, table, mode)
      deps.onLine(line)
      // Once, and not again at once: one that prevents wraparound is not ended for us.
      if (isVacuum) waitMs = vacuumMs
    }
    await clock.sleep(pauseMs * (0.5 + Math.random()), signal)
  }
}

/**
 * Does the work in the caller's transaction unless others hold what it locks: then it is as if it had not begun, and the
 * transaction goes on.
 */
export async function inPassing(tx: Queryable, work: () => Promise<void>): Promise<void> {
  const [row] = await tx.query<{ before: string }>(`SELECT current_setting('lock_timeout') AS before`)
  await tx.query(`SAVEPOINT ${passing}`)
  try {
    await tx.query(`SELECT set_config('lock_timeout', $1, true)`, [`${lockMs}ms`])
    await work()
    await tx.query(`SELECT set_config('lock_timeout', $1, true)`, [row!.before])
  } catch (error) {
    if (!isTaken(error)) throw error
    await tx.query(`ROLLBACK TO SAVEPOINT ${passing}`)
  }
  await tx.query(`RELEASE SAVEPOINT ${passing}`)
}

const passing = 'elastic_umzug_passing'

const lockNotAvailable = '55P03'
const deadlockDetected = '40P01'

function isTaken(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return code === lockNotAvailable || code === deadlockDetected
}

const undefinedTable = '42P01'

async function isThere({ db }: Store, table: Table): Promise<boolean> {
  const [row] = await db.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [quoteTable(table)])
  return row!.found
}

interface Waiting {
  line: string
  /** True when nobody but autovacuum is in the way. */
  isVacuum: boolean
}

async function waiting({ db }: Store, table: Table, mode: LockMode): Promise<Waiting> {
  const [row] = await db.query<{ pids: string | null; vacuum: boolean | null }>(
    `WITH RECURSIVE tree (oid) AS (
       SELECT to_regclass($1)::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid)
     -- Who may not see the type sees that it is no session of a user.
     SELECT string_agg(DISTINCT l.pid::text, ', ') AS pids,
       bool_and(coalesce(a.backend_type = 'autovacuum worker', a.usesysid IS NULL)) AS vacuum
     FROM pg_locks l JOIN tree ON tree.oid = l.relation LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND ($2 OR l.mode NOT IN ('AccessShareLock', 'RowShareLock'))`,
    [quoteTable(table), mode === 'ACCESS EXCLUSIVE'],
  )
  const by = row!.pids === null ? 'others' : `the sessions with pid ${row!.pids}`
  const line = `${table.schema}.${table.name}: waiting for ${by} to let go of it before its triggers are changed`
  return { line, isVacuum: row!.vacuum === true }
}

function stopped({ schema, name }: Table): ElasticUmzugError {
  return new ElasticUmzugError(
    'STOPPED',
    `Stopped while it waited for ${schema}.${name}: its triggers are as they were.`,
    {
      next: 'run the same command again; it goes on from there',
    },
  )
}
