/**
 * Locks on a connection of their own: gone with the process, whatever ends it.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Clock, Connection } from '../ports.ts'
import type { Store } from './store.ts'

const pollMs = 200

/** A connection with one open transaction that holds advisory locks until it is closed. */
export interface Session {
  /** Takes the lock if nobody has it. */
  tryLock(name: string): Promise<boolean>
  /** Throws `RUN_LOCK_LOST` once the connection is gone; called before each step of a long run. */
  assertHeld(): void
  close(): Promise<void>
}

/** Opens a session. Behind a transaction pooler it works too, because the locks belong to the transaction. */
export async function openSession(store: Store): Promise<Session> {
  const connection = await store.db.connect()
  // READ COMMITTED and idle: it keeps no snapshot, so concurrent index builds do not wait for it.
  await connection.query('BEGIN ISOLATION LEVEL READ COMMITTED')
  await connection.query(
    `SELECT set_config('idle_in_transaction_session_timeout', '0', true), set_config('tcp_keepalives_idle', '10', true),
      set_config('tcp_keepalives_interval', '5', true), set_config('tcp_keepalives_count', '3', true)`,
  )
  return session(store, connection)
}

function session(store: Store, connection: Connection): Session {
  return {
    async tryLock(name) {
      const sql = `SELECT pg_try_advisory_xact_lock(${lockKey}) AS got`
      const [row] = await connection.query<{ got: boolean }>(sql, [store.schema, name])
      return row?.got === true
    },
    assertHeld() {
      if (!connection.lost) return
      throw new ElasticUmzugError('RUN_LOCK_LOST', `The connection to ${store.db.label} that held the run lock was lost.`, {
        next: 'run the same command again; it goes on where this one stopped',
      })
    },
    close: () => connection.close(),
  }
}

/** SQL of a lock's number from schema (`$1`) and name (`$2`). */
export const lockKey = `hashtextextended('elastic_umzug.' || $2 || '.' || $1, 0)`

/**
 * Waits for a lock by polling. A blocked waiter would hold a snapshot, and PostgreSQL would resolve it against a
 * concurrent index build as a deadlock.
 */
export async function waitForLock(session: Session, name: string, clock: Clock, onWait: () => void): Promise<void> {
  for (let tries = 0; !(await session.tryLock(name)); tries++) {
    session.assertHeld()
    if (tries === 0) onWait()
    await clock.sleep(pollMs * (0.5 + Math.random()))
  }
}
