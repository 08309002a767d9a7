/**
 * Locks on a connection of their own: gone with the process, whatever ends it.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Clock, Connection, Queryable } from '../ports.ts'
import { quoteText } from '../sql.ts'
import type { Store } from './store.ts'

const pollMs = 200
/** How often the connection is tried, and how long its answer may take, in milliseconds. */
const beatMs = 5_000
// Below the time after which the server itself gives up on a client that is gone; above what an overloaded machine needs.
const missedBeats = 4

/**
 * A connection with one open transaction that holds advisory locks until it is closed.
 *
 * Everything it sends goes by the simple protocol, without bound values: after a statement of the extended protocol its
 * portal stays open in the transaction, and with it a snapshot for which a concurrent index build would wait for ever.
 */
export interface Session {
  /** Takes the lock if nobody has it. */
  tryLock(name: string): Promise<boolean>
  /** Lets go of all locks and begins a new transaction. */
  renew(): Promise<void>
  /** Throws `RUN_LOCK_LOST` once the connection is gone; called before each step of a long run. */
  assertHeld(): void
  close(): Promise<void>
}

/** Opens a session. Behind a transaction pooler it works too, because the locks belong to the transaction. */
export async function openSession(store: Store): Promise<Session> {
  const connection = await store.db.connect()
  try {
    await begin(connection)
  } catch (error) {
    await connection.close()
    throw error
  }
  return session(store, connection)
}

// Not every server knows every setting, and naming an unknown one would fail.
const settings = `SELECT set_config(s.name, w.value, true) FROM pg_settings s JOIN (VALUES
    ('idle_in_transaction_session_timeout', '0'), ('transaction_timeout', '0'), ('statement_timeout', '0'),
    ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3')
  ) AS w(name, value) ON w.name = s.name`

// READ COMMITTED and idle: it keeps no snapshot, so concurrent index builds do not wait for it.
async function begin(connection: Queryable): Promise<void> {
  await connection.query('BEGIN ISOLATION LEVEL READ COMMITTED')
  await connection.query(settings)
}

function session(store: Store, connection: Connection): Session {
  const query = inTurn(connection)
  // A statement that takes no snapshot.
  const heart = watch(() => query('-- still there'))
  return {
    async tryLock(name) {
      const key = lockKey(quoteText(store.schema), quoteText(name))
      const [row] = await query<{ got: boolean }>(`SELECT pg_try_advisory_xact_lock(${key}) AS got`)
      return row?.got === true
    },
    async renew() {
      await query('ROLLBACK')
      await begin({ query })
    },
    assertHeld() {
      if (!connection.lost && heart.beats()) return
      throw new ElasticUmzugError(
        'RUN_LOCK_LOST',
        `The connection to ${store.db.label} that held the run lock was lost.`,
        {
          next: 'run the same command again; it goes on where this one stopped',
        },
      )
    },
    async close() {
      heart.stop()
      await connection.close()
    },
  }
}

// A cut network says nothing to an idle client, while the server gives its locks to somebody else.
function watch(ask: () => Promise<unknown>): { beats(): boolean; stop(): void } {
  let waiting = 0
  const timer = setInterval(() => {
    if (waiting++ === 0) ask().then(() => void (waiting = 0), () => {})
  }, beatMs)
  return { beats: () => waiting < missedBeats, stop: () => clearInterval(timer) }
}

// A connection carries one query at a time.
function inTurn(connection: Connection): Connection['query'] {
  let last: Promise<unknown> = Promise.resolve()
  return (sql, values) => {
    const next = last.then(() => connection.query<never>(sql, values))
    last = next.catch(() => {})
    return next
  }
}

/** SQL of a lock's number, from SQL of the schema and of the name. */
export function lockKey(schema: string, name: string): string {
  return `hashtextextended('elastic_umzug.' || (${name})::text || '.' || (${schema})::text, 0)`
}

/** SQL that tells whether somebody holds a lock. Taking it to find out could make its owner fail to. */
export function isHeld(schema: string, name: string): string {
  const key = lockKey(schema, name)
  return `EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid::bigint = ((${key}) >> 32) & 4294967295 AND l.objid::bigint = (${key}) & 4294967295)`
}

/**
 * Waits for locks by polling, until it has them all. A blocked waiter would hold a snapshot, and PostgreSQL would resolve
 * it against a concurrent index build as a deadlock; a build that happens on a poll waits for the transaction of that
 * poll, so each has one of its own. `onWait` is called at every poll that failed, and may throw. Throws `STOPPED` at the signal.
 */
export async function waitForLocks(
  session: Session,
  names: readonly string[],
  clock: Clock,
  { onWait, signal }: { onWait?: () => Promise<void>; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  while (!(await tryLocks(session, names))) {
    session.assertHeld()
    if (signal?.aborted) {
      throw new ElasticUmzugError('STOPPED', 'Stopped while another run held the lock: nothing was done.', {
        next: 'run the same command again',
      })
    }
    await onWait?.()
    await clock.sleep(pollMs * (0.5 + Math.random()), signal)
    await session.renew()
  }
}

async function tryLocks(session: Session, names: readonly string[]): Promise<boolean> {
  for (const each of names) if (!(await session.tryLock(each))) return false
  return true
}
