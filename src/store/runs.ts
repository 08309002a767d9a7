/**
 * Which recorded actions are under way, wait, or were broken off.
 * @module
 */
import { quoteText } from '../sql.ts'
import { lockKey } from './lock.ts'
import type { Store } from './store.ts'

/** A recorded action that has not ended. */
export interface OpenAction {
  /** Number, as in the log. */
  id: string
  /** Which command, as `up`. */
  action: string
  /** `interrupted` is one in progress whose process is gone, and that nobody has repeated since. */
  state: 'queued' | 'in_progress' | 'interrupted'
  /** True when it holds the run lock. */
  holdsRunLock: boolean
  /** Operating system user. */
  user: string | null
  /** Machine. */
  host: string | null
  /** Process. */
  pid: number | null
  /** ISO time: when it began, or when it began to wait. */
  since: string
}

/**
 * Actions that have not ended, oldest first. A complete `up` makes up for whatever was interrupted before it; a comparison
 * that was interrupted left nothing to go on with.
 */
export async function openActions(store: Store): Promise<OpenAction[]> {
  const gone = new Set((await read(store)).filter(isInterrupted).map((each) => each.id))
  // One that ends just now lets go of its lock after the snapshot that still shows it in progress: so once more.
  return (await read(store)).filter((each) => !isInterrupted(each) || gone.has(each.id))
}

function isInterrupted({ state }: OpenAction): boolean {
  return state === 'interrupted'
}

async function read({ db, table, schema }: Store): Promise<OpenAction[]> {
  const key = (name: string) => lockKey(quoteText(schema), name)
  return await db.query<OpenAction & Record<string, unknown>>(
    `WITH held AS MATERIALIZED (
       SELECT l.pid, l.classid::bigint << 32 | l.objid::bigint AS key FROM pg_locks l
       WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
     SELECT a.id, a.action, CASE WHEN own.pid IS NULL THEN 'interrupted' ELSE a.state END AS state,
       EXISTS (SELECT FROM held r WHERE r.pid = own.pid AND r.key = ${key(`'run'`)}) AS "holdsRunLock",
       a.os_user AS "user", a.host, a.pid, to_json(coalesce(a.started_at, a.created_at)) #>> '{}' AS since
     FROM ${table.actions} a LEFT JOIN held own ON own.key = ${key(`'action.' || a.id`)}
     WHERE a.parent_id IS NULL AND a.state IN ('queued', 'in_progress') AND (own.pid IS NOT NULL OR a.state = 'in_progress' AND a.action NOT LIKE 'es:verify%' AND NOT EXISTS (
       SELECT FROM ${table.actions} l WHERE l.id > a.id AND l.parent_id IS NULL AND l.state = 'complete' AND l.action IN (a.action, 'up')))
     ORDER BY a.id`,
  )
}
