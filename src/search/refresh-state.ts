/**
 * How far a refresh has come: kept with its action, so that the next one goes on from there.
 * @module
 */
import { isHeld } from '../store/lock.ts'
import type { Store } from '../store/store.ts'

/** Which rows are refreshed. */
export type Rows =
  | { kind: 'all' }
  /** Those of which a change was captured: they are in the queue. */
  | { kind: 'captured' }
  | { kind: 'keys'; keys: readonly string[]; isLast?: undefined }
  /** Rows changed since then, and those that meet a condition; `isLast` where nothing before that is missing. */
  | { kind: 'chosen'; since?: string; where?: unknown; isLast?: boolean }

/** Where the reading of keys is. */
export interface KeysAt {
  /** Which of the tables whose rows are documents. */
  table: number
  /** Key after which it goes on. */
  after: string | null
}

/** Checkpoint of a refresh. */
export interface RefreshState {
  /** ISO time: rows written before it are seen. */
  from: string
  /** True where afterwards nothing is missing that was written before `from`. */
  whole: boolean
  /** Drawn at the beginning: documents with a lower version were not written anew. */
  number: string
  rows: Rows
  at: KeysAt | null
  /** Keys that were enqueued. */
  attempted: number
  /** True when all keys were. */
  read: boolean
}

/** An older one's keys would not be what is wanted now: after a day it is begun anew. */
const goneOnWithin = '1 day'

/**
 * The last refresh of the same rows of a version, where it was stopped or killed. Whoever asks holds the run lock, so it is
 * not under way.
 */
export async function interrupted(
  { db, table }: Store,
  physical: string,
  rows: Rows,
): Promise<{ id: string; state: RefreshState } | undefined> {
  const [row] = await db.query<{ id: string; checkpoint: RefreshState; state: string; recent: boolean }>(
    `SELECT id, checkpoint, state, created_at > clock_timestamp() - interval '${goneOnWithin}' AS recent FROM ${table.actions}
     WHERE target = $1 AND parent_id IS NOT NULL AND checkpoint -> 'rows' = $2::jsonb ORDER BY id DESC LIMIT 1`,
    [physical, JSON.stringify(storable(rows))],
  )
  if (!row || row.state === 'complete' || !row.recent) return undefined
  // The condition itself, not what JSON keeps of it.
  return { id: row.id, state: { ...row.checkpoint, rows } }
}

/** What is stored of the rows: operators by name, and what is no plain value by its kind, so that two are alike only if they are. */
export function storable(rows: Rows): unknown {
  return plain(rows)
}

function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Date) return value.toISOString()
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null
  const kind = prototype === null || prototype === Object.prototype ? {} : { $kind: prototype.constructor?.name ?? '' }
  const entries = Reflect.ownKeys(value).map((key) => [
    typeof key === 'symbol' ? `$${key.description}` : key,
    plain((value as Record<string | symbol, unknown>)[key]),
  ])
  return { ...kind, ...Object.fromEntries(entries) as object }
}

/** Two that begin within it are the same command at the same moment, on several machines. */
const sameMoment = '10 seconds'

/**
 * Who brought the same rows of a version up to date while an action waited for the run lock: `es:update of ann@web-1`; undefined
 * where nobody did.
 */
export async function doneBy(
  { db, table }: Store,
  actionId: string,
  physical: string,
  rows: Rows,
): Promise<string | undefined> {
  const [row] = await db.query<{ name: string }>(
    `SELECT p.action || ' of ' || p.os_user || '@' || p.host AS name
     FROM ${table.actions} own JOIN ${table.actions} x ON x.ended_at BETWEEN own.created_at AND own.started_at
     JOIN ${table.actions} p ON p.id = x.parent_id
     WHERE own.id = $1 AND x.target = $2 AND x.state = 'complete' AND x.checkpoint IS NOT NULL
       AND ((x.checkpoint ->> 'fill')::boolean OR x.checkpoint #>> '{rows,kind}' = 'all' OR x.checkpoint -> 'rows' = $3::jsonb)
       -- What read its first row long before this one was asked for may lack what was written in between. The number holds
       -- the time at which it began, also where it went on from a checkpoint.
       AND ((x.checkpoint ->> 'fill')::boolean
         OR to_timestamp((x.checkpoint ->> 'number')::numeric / 1000000) >= own.created_at - interval '${sameMoment}')
     ORDER BY x.id DESC LIMIT 1`,
    [actionId, physical, JSON.stringify(storable(rows))],
  )
  return row?.name
}

/** Physical names of the versions that are refreshed at the moment. */
export async function refreshesUnderWay({ db, table, schema }: Store): Promise<string[]> {
  const rows = await db.query<{ target: string }>(
    `SELECT DISTINCT a.target FROM ${table.actions} a
     WHERE a.state = 'in_progress' AND a.parent_id IS NOT NULL AND a.checkpoint ? 'rows'
       AND ${isHeld('$1', `'action.' || a.parent_id`)}`,
    [schema],
  )
  return rows.map((each) => each.target)
}
