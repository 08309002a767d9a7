/**
 * The audit log: every changing command, who ran it, how it ended.
 * @module
 */
import { ElasticUmzugError, stackOf } from '../errors.ts'
import type { Clock } from '../ports.ts'
import { redact } from '../redact.ts'
import { describeHolder, tellHolder } from './holder.ts'
import { isHeld, openSession, type Session, waitForLocks } from './lock.ts'
import type { Store } from './store.ts'

/** Where a command comes from. */
export interface Origin {
  commandLine: string
  user: string
  host: string
  pid: number
  tag?: string | undefined
}

/** A recorded action. */
export interface ActionRow {
  /** Number, ascending. */
  id: string
  /** Action that this one is a part of. */
  parentId: string | null
  /** Which command, as `up`. */
  action: string
  /** What it was about. */
  target: string | null
  /** `interrupted` is an action in progress whose process is gone. */
  state: 'queued' | 'in_progress' | 'complete' | 'aborted' | 'interrupted'
  /** Arguments, without passwords. */
  commandLine: string | null
  /** Operating system user. */
  user: string | null
  /** Machine. */
  host: string | null
  /** Process. */
  pid: number | null
  /** Build id of the code. */
  tag: string | null
  /** ISO time. */
  startedAt: string | null
  /** ISO time. */
  endedAt: string | null
  /** What was counted, as `documents`. */
  counts: Record<string, number>
  /** Lines, each with its time. */
  log: string
  /** Stack of what ended it. */
  error: string | null
}

/** What the work of an action may do with its record. */
export interface Action {
  readonly id: string
  /** Keeps a line in the log; passwords are hidden. */
  log(line: string): Promise<void>
  /** Adds to a counter. */
  count(name: string, by: number): void
  /** Throws when the run lock was lost. */
  assertHeld(): void
}

/** What is recorded of a command. */
export interface ActionOptions {
  action: string
  target?: string | null
  origin: Origin
  clock: Clock
  /** True takes the run lock: one such command at a time. */
  exclusive: boolean
  /** False fails with `RUN_LOCK_HELD` where somebody else holds the run lock; default: waits for it. */
  wait?: boolean | undefined
  onLine?: (line: string) => void
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
    const id = await insertAction(store, options)
    await waitForLocks(session, [lockName(id)], options.clock)
    return await runAction(store, session, id, options, work)
  } finally {
    await session.close()
  }
}

async function runAction<T>(
  store: Store,
  session: Session,
  id: string,
  options: ActionOptions,
  work: (action: Action) => Promise<T>,
): Promise<T> {
  const counts: Record<string, number> = {}
  const log = (line: string) => appendLog(store, id, line)
  try {
    if (options.exclusive) {
      const { clock, signal, wait = true, onLine = () => {} } = options
      const onWait = wait ? tellHolder(store, clock, onLine) : () => refuseToWait(store)
      await waitForLocks(session, [lockName(id), 'run'], clock, { onWait, signal })
    }
    await store.db.query(
      `UPDATE ${store.table.actions} SET state = 'in_progress', started_at = clock_timestamp() WHERE id = $1`,
      [id],
    )
    const count = (name: string, by: number) => void (counts[name] = (counts[name] ?? 0) + by)
    const result = await work({ id, log, count, assertHeld: () => session.assertHeld() })
    await endAction(store, id, 'complete', counts, null)
    return result
  } catch (error) {
    await endAction(store, id, 'aborted', counts, redact(stackOf(error))).catch(() => {})
    throw error
  }
}

const lockName = (id: string) => `action.${id}`

async function refuseToWait(store: Store): Promise<never> {
  throw new ElasticUmzugError('RUN_LOCK_HELD', `The run lock is held by ${await describeHolder(store)}.`, {
    next: 'the same command again when that has ended, or without --no-wait',
  })
}

async function insertAction(store: Store, { action, target, origin }: ActionOptions): Promise<string> {
  const [row] = await store.db.query<{ id: string }>(
    `INSERT INTO ${store.table.actions} (action, target, state, command_line, os_user, host, pid, tag)
     VALUES ($1, $2, 'queued', $3, $4, $5, $6, $7) RETURNING id`,
    [action, target ?? null, redact(origin.commandLine), origin.user, origin.host, origin.pid, origin.tag ?? null],
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

/** The newest actions, newest first; those whose process is gone are shown as interrupted. */
export async function listActions(store: Store, limit: number = 50): Promise<ActionRow[]> {
  return await store.db.query<ActionRow & Record<string, unknown>>(
    `SELECT a.id, a.parent_id AS "parentId", a.action, a.target,
       CASE WHEN a.state IN ('queued', 'in_progress') AND NOT ${isHeld('$1', "'action.' || a.id")}
         THEN 'interrupted' ELSE a.state END AS state,
       a.command_line AS "commandLine", a.os_user AS "user", a.host, a.pid, a.tag,
       to_json(a.started_at) #>> '{}' AS "startedAt", to_json(a.ended_at) #>> '{}' AS "endedAt", a.counts, a.log, a.error
     FROM ${store.table.actions} a ORDER BY a.id DESC LIMIT $2`,
    [store.schema, limit],
  )
}
