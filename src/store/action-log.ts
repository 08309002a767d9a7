/**
 * The audit log, read: what was done, by whom, how it ended.
 * @module
 */
import { isHeld } from './lock.ts'
import type { Store } from './store.ts'

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
  /** Options of the command that were given. */
  options: Record<string, unknown> | null
  /** What was counted, as `documents`; with the counts of its parts. */
  counts: Record<string, number>
  /** Lines, each with its time. */
  log: string
  /** Stack of what ended it. */
  error: string | null
}

/** An action with its parts. */
export interface ActionTree extends ActionRow {
  /** Its parts, in the order of their beginning. */
  parts: ActionRow[]
}

/** Which actions. */
export interface LogFilter {
  /** Which command: `up`; with its variants, as `es:verify --repair`. */
  command?: string
  /** Actions about this index: its name, or a physical name. */
  index?: string
  /** How it ended, or `interrupted`. */
  status?: ActionRow['state']
  /** ISO time: those that were begun later. */
  since?: string
  /** Number: those with a higher one. */
  after?: string
  /** How many, the newest. Default 50. */
  limit?: number
}

// A part of an action is alive as long as the process that it belongs to, which holds the lock of the action.
const liveId = `CASE WHEN p.pid = a.pid AND p.host = a.host THEN p.id ELSE a.id END`

const state = `CASE WHEN a.state IN ('queued', 'in_progress') AND NOT ${isHeld('$1', `'action.' || ${liveId}`)}
  THEN 'interrupted' ELSE a.state END`

const columns = `a.id, a.parent_id AS "parentId", a.action, a.target, ${state} AS state,
  a.command_line AS "commandLine", a.os_user AS "user", a.host, a.pid, a.tag,
  to_json(a.started_at) #>> '{}' AS "startedAt", to_json(a.ended_at) #>> '{}' AS "endedAt", a.options, a.log, a.error`

function from({ table }: Store): string {
  return `${table.actions} a LEFT JOIN ${table.actions} p ON p.id = a.parent_id CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(n.name, n.total), '{}') AS counts FROM (
      SELECT c.key AS name, sum(c.value::float8) AS total
      FROM (SELECT a.counts UNION ALL SELECT x.counts FROM ${table.actions} x WHERE x.parent_id = a.id) each(counts)
      CROSS JOIN LATERAL jsonb_each_text(each.counts) c GROUP BY c.key) n) sums`
}

/**
 * The newest actions, newest first, without those that are parts of others; those whose process is gone are shown as
 * interrupted.
 */
export async function listActions(store: Store, filter: LogFilter = {}): Promise<ActionRow[]> {
  const { command, index, status, since, after, limit = 50 } = filter
  return await store.db.query<ActionRow & Record<string, unknown>>(
    `SELECT ${columns}, sums.counts FROM ${from(store)}
     WHERE a.parent_id IS NULL
       AND ($3::text IS NULL OR a.action = $3 OR starts_with(a.action, $3 || ' '))
       AND ($4::text IS NULL OR EXISTS (
         SELECT FROM ${store.table.actions} x WHERE (x.id = a.id OR x.parent_id = a.id) AND (
           $4 = ANY (string_to_array(x.target, ' ')) OR EXISTS (
             SELECT FROM ${store.table.index_versions} v JOIN ${store.table.indexes} i ON i.id = v.index_id
             WHERE $4 IN (i.name, i.prefix || i.name) AND v.physical = ANY (string_to_array(x.target, ' '))))))
       AND ($5::text IS NULL OR ${state} = $5)
       AND ($6::text IS NULL OR coalesce(a.started_at, a.created_at) >= $6::timestamptz)
       AND ($7::bigint IS NULL OR a.id > $7::bigint)
     ORDER BY a.id DESC LIMIT $2`,
    [store.schema, limit, command ?? null, index ?? null, status ?? null, since ?? null, after ?? null],
  )
}

/** One action with its parts; undefined where there is none with this number. */
export async function readAction(store: Store, id: string): Promise<ActionTree | undefined> {
  const rows = await store.db.query<ActionRow & Record<string, unknown>>(
    `SELECT ${columns}, sums.counts FROM ${
      from(store)
    } WHERE a.id = $2::bigint OR a.parent_id = $2::bigint ORDER BY a.id`,
    [store.schema, id],
  )
  const action = rows.find((each) => each.id === id)
  return action && { ...action, parts: rows.filter((each) => each.parentId === id) }
}
