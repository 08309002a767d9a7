/**
 * Recording what is done: every changing command, who ran it, how it ended. See `action-log.ts` for reading it.
 * @module
 */
import { ElasticUmzugError, stackOf } from '../errors.ts'
import type { Clock, Queryable } from '../ports.ts'
import { redact } from '../redact.ts'
import { describeHolder, tellHolder } from './holder.ts'
import { openSession, type Session, waitForLocks } from './lock.ts'
import type { Store } from './store.ts'

/** Where a command comes from. */
export interface Origin {
  commandLine: string
  user: string
  host: string
  pid: number
  tag?: string | undefined
}

/** What an action is about. */
export interface About {
  /** Which command, as `up`. */
  action: string
  /** What of: physical index, or the names that were given. */
  target?: string | null
  /** Options of the command that are not the default. */
  options?: Readonly<Record<string, unknown>> | undefined
}

/** What the work of an action may do with its record. */
export interface Action {
  readonly id: string
  /** Keeps a line in the log; passwords are hidden. */
  log(line: string): Promise<void>
  /** Adds to a counter; the record has it within a second, and surely at the end. */
  count(name: string, by: number): void
  /** Keeps where to go on from, together with the counters; in a transaction with what they count where `on` is given. */
  checkpoint(checkpoint: object, on?: Queryable): Promise<void>
  /** Throws when the run lock was lost. */
  assertHeld(): void
  /** Records a part of it as an action of its own, whose parent this one is. It ends with its process, as this one does. */
  part<T>(about: About, work: (part: Action) => Promise<T>): Promise<T>
}

/** What is recorded of a command. */
export interface ActionOptions extends About {
  origin: Origin
  clock: Clock
  /** Action of another process that this one is a part of. */
  parentId?: string | undefined
  /** True takes the run lock: one such command at a time. */
  exclusive: boolean
  /** False fails with `RUN_LOCK_HELD` where somebody else holds the run lock; default: waits for it. */
  wait?: boolean | undefined
  onLine?: (line: string) => void
  /** Called again and again while the run lock is waited for: may help whoever holds it. */
  whileWaiting?: ((action: Action) => Promise<void>) | undefined
  /** Ends the wait for the run lock. */
  signal?: AbortSignal | undefined
}

/**
 * Records the action, runs the work, records how it ended. A killed process leaves it `in_progress`;
 * its lock is gone with it, so whoever looks next sees it as interrupted.
 */
export async function withAction<T>(
  store: Store,
  options: ActionOptions,
  work: (action: Action) => Promise<T>,
): Promise<T> {
  const session = await openSession(store)
  try {
    const id = await insertAction(store, options, options.parentId ?? null, 'queued')
    await waitForLocks(session, [lockName(id)], options.clock)
    return await recorded({ store, options, session, id }, async (action) => {
      if (options.exclusive) await takeRunLock(store, session, options, action)
      await store.db.query(
        `UPDATE ${store.table.actions} SET state = 'in_progress', started_at = clock_timestamp() WHERE id = $1`,
        [id],
      )
      return await work(action)
    })
  } finally {
    await session.close()
  }
}

async function takeRunLock(store: Store, session: Session, options: ActionOptions, action: Action): Promise<void> {
  const { clock, signal, wait = true, onLine = () => {}, whileWaiting } = options
  const tell = wait ? tellHolder(store, clock, onLine) : () => refuseToWait(store)
  const onWait = async () => {
    await tell()
    await whileWaiting?.(action)
  }
  await waitForLocks(session, [lockName(action.id), 'run'], clock, { onWait, signal })
}

/** An action on its way. */
interface Recording {
  store: Store
  options: Pick<ActionOptions, 'origin' | 'clock'>
  session: Session
  id: string
}

async function recorded<T>(recording: Recording, work: (action: Action) => Promise<T>): Promise<T> {
  const { store, id } = recording
  const counters = createCounters(recording)
  try {
    const result = await work(actionOf(recording, counters))
    await endAction(store, id, 'complete', await counters.ended(), null)
    return result
  } catch (error) {
    await endAction(store, id, 'aborted', await counters.ended(), redact(stackOf(error))).catch(() => {})
    throw error
  }
}

function actionOf(recording: Recording, counters: Counters): Action {
  const { store, id, session, options } = recording
  return {
    id,
    log: (line) => appendLog(store, id, line),
    count: (name, by) => counters.add(name, by),
    checkpoint: (checkpoint, on) => counters.store(on ?? store.db, checkpoint),
    assertHeld: () => session.assertHeld(),
    async part(about, work) {
      const part = await insertAction(store, { origin: options.origin, ...about }, id, 'in_progress')
      return await recorded({ ...recording, id: part }, work)
    },
  }
}

/** Counters of one action. */
interface Counters {
  add(name: string, by: number): void
  store(on: Queryable, checkpoint: object | null): Promise<void>
  /** Waits for what is under way; gives the sums. */
  ended(): Promise<Record<string, number>>
}

const storeEveryMs = 500

function createCounters({ store, options: { clock }, id }: Recording): Counters {
  const counts: Record<string, number> = {}
  let storing: Promise<unknown> = Promise.resolve()
  let storedAt = clock.now()
  const counters: Counters = {
    add(name, by) {
      counts[name] = (counts[name] ?? 0) + by
      if (clock.now() - storedAt < storeEveryMs) return
      storedAt = clock.now()
      // What could not be stored now is stored at the end.
      storing = storing.then(() => counters.store(store.db, null)).catch(() => {})
    },
    async store(on, checkpoint) {
      await on.query(
        `UPDATE ${store.table.actions} SET counts = $2::jsonb, checkpoint = coalesce($3::jsonb, checkpoint) WHERE id = $1`,
        [id, JSON.stringify(counts), checkpoint && JSON.stringify(checkpoint)],
      )
    },
    ended: () => storing.then(() => counts),
  }
  return counters
}

const lockName = (id: string) => `action.${id}`

async function refuseToWait(store: Store): Promise<never> {
  throw new ElasticUmzugError('RUN_LOCK_HELD', `The run lock is held by ${await describeHolder(store)}.`, {
    next: 'the same command again when that has ended, or without --no-wait',
  })
}

async function insertAction(
  store: Store,
  { action, target, options, origin }: About & { origin: Origin },
  parentId: string | null,
  state: 'queued' | 'in_progress',
): Promise<string> {
  const [row] = await store.db.query<{ id: string }>(
    `INSERT INTO ${store.table.actions} (parent_id, action, target, options, state, started_at, command_line, os_user, host, pid, tag)
     VALUES ($1, $2, $3, $4::jsonb, $5, CASE $5 WHEN 'in_progress' THEN clock_timestamp() END, $6, $7, $8, $9, $10) RETURNING id`,
    [
      parentId,
      action,
      target ?? null,
      options ? redact(JSON.stringify(options)) : null,
      state,
      redact(origin.commandLine),
      origin.user,
      origin.host,
      origin.pid,
      origin.tag ?? null,
    ],
  )
  return row!.id
}

async function appendLog(store: Store, id: string, line: string): Promise<void> {
  await store.db.query(
    `UPDATE ${store.table.actions}
     SET log = log || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z "') || $2 || E'\\n'
     WHERE id = $1`,
    [id, redact(line)],
  )
}

async function endAction(
  store: Store,
  id: string,
  state: 'complete' | 'aborted',
  counts: Record<string, number>,
  error: string | null,
): Promise<void> {
  await store.db.query(
    `UPDATE ${store.table.actions} SET state = $2, ended_at = clock_timestamp(), counts = $3::jsonb, error = $4 WHERE id = $1`,
    [id, state, JSON.stringify(counts), error],
  )
}
