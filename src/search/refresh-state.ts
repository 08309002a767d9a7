/**
 * How far a refresh has come: kept with its action, so that the next one goes on from there.
 * @module
 */
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
    [physical, JSON.stringify(rows)],
  )
  if (!row || row.state === 'complete' || !row.recent) return undefined
  return { id: row.id, state: row.checkpoint }
}
