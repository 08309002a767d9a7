/**
 * Key ranges of a populate: claimed with a lease, checkpointed after every page.
 * @module
 */
import type { KeyRange } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { drawing } from './clock.ts'

/** A claimed range. */
export interface Range extends KeyRange {
  number: number
  /** Checkpoint: last key that is written. */
  cursor: string | null
}

/** Records the ranges between the cuts, unless the version has ranges already. */
export async function planRanges(store: Store, versionId: string, cuts: readonly string[]): Promise<void> {
  const bounds = [null, ...cuts, null]
  await store.db.query(
    `INSERT INTO ${store.table.populate_ranges} (version_id, number, after_key, up_to_key)
     SELECT $1, n, after_key, up_to_key
     FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS r(after_key, up_to_key, n)
     WHERE NOT EXISTS (SELECT FROM ${store.table.populate_ranges} WHERE version_id = $1)
     ON CONFLICT DO NOTHING`,
    [versionId, bounds.slice(0, -1), bounds.slice(1)],
  )
}

/** Claims a range that nobody holds; undefined when there is none now. */
export async function claimRange(
  store: Store,
  versionId: string,
  token: string,
  leaseMs: number,
): Promise<Range | undefined> {
  const [range] = await store.db.query<Range>(
    `UPDATE ${store.table.populate_ranges} r
     SET token = $2, expires_at = clock_timestamp() + $3 * interval '1 millisecond'
     WHERE r.version_id = $1 AND r.number = (
       SELECT number FROM ${store.table.populate_ranges}
       WHERE version_id = $1 AND copy_from IS NULL AND NOT done AND expires_at <= clock_timestamp()
       ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING number, after_key AS after, up_to_key AS "upTo", cursor`,
    [versionId, token, leaseMs],
  )
  return range
}

/** What a page added. */
export interface Checkpoint {
  cursor: string | null
  documents: number
  done: boolean
}

/**
 * Stores a checkpoint, prolongs the lease, and draws the number for what is read after it: one statement, for each costs a
 * sync of the database. Undefined when the range was lost to somebody else.
 */
export async function checkpoint(
  store: Store,
  versionId: string,
  number: number,
  token: string,
  { cursor, documents, done }: Checkpoint,
  leaseMs: number,
): Promise<string | undefined> {
  const held = `held AS (
       UPDATE ${store.table.populate_ranges}
       SET cursor = coalesce($4, cursor), documents = documents + $5, done = $6,
         expires_at = clock_timestamp() + $7 * interval '1 millisecond'
       WHERE version_id = $1 AND number = $2 AND token = $3 AND NOT done RETURNING number),
     `
  const [row] = await store.db.query<{ n: string }>(
    drawing(store, held, ' AND EXISTS (SELECT FROM held)'),
    [versionId, number, token, cursor, documents, done, leaseMs],
  )
  return row?.n
}

/** Gives a range back after every request of it was answered, so that the next run need not wait for the lease. */
export async function releaseRange(store: Store, versionId: string, number: number, token: string): Promise<void> {
  await store.db.query(
    `UPDATE ${store.table.populate_ranges} SET expires_at = clock_timestamp(), token = NULL
     WHERE version_id = $1 AND number = $2 AND token = $3`,
    [versionId, number, token],
  )
}

/**
 * Begins all ranges of a version anew. One that somebody holds is taken from him, and waits until his lease has ended:
 * his last request may be under way. False when there are none.
 */
export async function resetRanges(store: Store, versionId: string): Promise<boolean> {
  const rows = await store.db.query(
    `UPDATE ${store.table.populate_ranges}
     SET cursor = NULL, documents = 0, done = false, token = NULL, task = NULL,
       expires_at = CASE WHEN done THEN clock_timestamp() ELSE expires_at END
     WHERE version_id = $1 RETURNING number`,
    [versionId],
  )
  return rows.length > 0
}

/** How far a populate is. */
export interface RangeProgress {
  ranges: number
  done: number
  documents: number
}

/** Progress over all ranges, of every process. */
export async function rangeProgress(store: Store, versionId: string): Promise<RangeProgress> {
  const [row] = await store.db.query<RangeProgress & Record<string, unknown>>(
    `SELECT count(*)::int AS ranges, count(*) FILTER (WHERE done)::int AS done,
       coalesce(sum(documents), 0)::float8 AS documents
     FROM ${store.table.populate_ranges} WHERE version_id = $1`,
    [versionId],
  )
  return row!
}

/** Forgets the ranges and the recorded deletes of a finished populate. */
export async function clearPopulate(store: Store, versionId: string): Promise<void> {
  await store.db.query(`DELETE FROM ${store.table.populate_ranges} WHERE version_id = $1`, [versionId])
  await store.db.query(`DELETE FROM ${store.table.populate_deletes} WHERE version_id = $1`, [versionId])
}
