/**
 * The audit log: every changing command, who ran it, how it ended.
 * @module
 */
import type { Clock } from '../ports.ts'
import { redact } from '../redact.ts'
import { lockKey, openSession, type Session, waitForLock } from './lock.ts'
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
  id: string
  parentId: string | null
  action: string
  target: string | null
  /** `interrupted` is an action in progress whose process is gone. */
  state: 'queued' | 'in_progress' | 'complete' | 'aborted' | 'interrupted'
  commandLine: string | null
  user: string | null
  host: string | null
  pid: number | null
  tag: string | null
  startedAt: string | null
  endedAt: string | null
  counts: Record<string, number>
  log: string
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
  onLine?: (line: string) => void
}

/**
 * Records the action, runs the work, records how it ended. A killed process leaves it `in_progress`;
 * its lock is gone with it, so whoever looks next sees it as interrupted.
 */
export async function withAction<T>(store: Store, options: ActionOptions, work: (action: Action) => Promise<T>): Promise<T> {
  const session = await openSession(store)
  try {
    const id = await insertAction(store, options)
    await session.tryLock(`action.${id}`)
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
    if (options.exclusive) await waitForLock(session, 'run', options.clock, () => options.onLine?.(waiting))
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

const waiting = 'waiting for another run of elastic-umzug to end (it holds the run lock)'

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

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`
  return `${error.stack ?? error.message}${cause}`
}

/** The newest actions, newest first; those whose process is gone are shown as interrupted. */
export async function listActions(store: Store, limit: number = 50): Promise<ActionRow[]> {
  return await store.db.query<ActionRow & Record<string, unknown>>(
    `WITH newest AS MATERIALIZED (SELECT * FROM ${store.table.actions} ORDER BY id DESC LIMIT $3),
     gone AS MATERIALIZED (
       SELECT id FROM newest WHERE state IN ('queued', 'in_progress')
         AND pg_try_advisory_xact_lock(${lockKey.replace('$2', "'action.' || id")}))
     SELECT id, parent_id AS "parentId", action, target,
       CASE WHEN id IN (SELECT id FROM gone) AND $2 THEN 'interrupted' ELSE state END AS state,
       command_line AS "commandLine", os_user AS "user", host, pid, tag,
       to_json(started_at) #>> '{}' AS "startedAt", to_json(ended_at) #>> '{}' AS "endedAt", counts, log, error
     FROM newest ORDER BY id DESC`,
    [store.schema, true, limit],
  )
}
