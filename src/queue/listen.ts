/**
 * `LISTEN` and `NOTIFY`: a process that wrote wakes the workers of the others. A hint only: whatever goes missing is
 * found by the next poll.
 * @module
 */
import type { Clock, Connection } from '../ports.ts'
import { quoteName } from '../sql.ts'
import type { Store } from '../store/store.ts'
import { pauseMs } from './outage.ts'

// A name of its own for each set of tables; a schema's name is as long as a channel's may be.
const channelOf = ({ schema }: Store): string => schema

/**
 * Makes a function to be called after a commit: it sends one notification, however often it is called until that is
 * sent. In a statement of its own: within the writer's transaction it would make all commits wait for each other.
 */
export function createNotifier(store: Store): () => void {
  let isUnderWay = false
  let isWanted = false
  const send = async () => {
    while (isWanted) {
      isWanted = false
      await store.db.query('SELECT pg_notify($1, $2)', [channelOf(store), '']).catch(() => {})
    }
    isUnderWay = false
  }
  return () => {
    isWanted = true
    if (isUnderWay) return
    isUnderWay = true
    void send()
  }
}

/** What listening needs. */
export interface ListenDeps {
  store: Store
  clock: Clock
}

/**
 * Listens on a connection of its own, and connects again when it is lost, until the signal. Calls back at every
 * notification, and whenever one may have been missed. Resolves at the end, when the connection is closed.
 */
export async function listen({ store, clock }: ListenDeps, signal: AbortSignal, onNotice: () => void): Promise<void> {
  for (let failures = 0; !signal.aborted;) {
    try {
      await listenOnce(await store.db.connect(), store, signal, () => {
        failures = 0
        onNotice()
      })
    } catch {
      // The worker, which meets the same fault, tells of it.
    }
    await clock.sleep(pauseMs(failures++), signal)
  }
}

async function listenOnce(connection: Connection, store: Store, signal: AbortSignal, onNotice: () => void) {
  try {
    const over = new Promise<void>((resolve) => {
      connection.onNotice(onNotice)
      connection.onLost(resolve)
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await connection.query(`LISTEN ${quoteName(channelOf(store))}`)
    onNotice()
    if (!signal.aborted) await over
  } finally {
    await connection.close()
  }
}
