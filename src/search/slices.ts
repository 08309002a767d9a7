/**
 * Parts of a copy: like key ranges claimed with a lease, each with the task of Elasticsearch that carries it out.
 * @module
 */
import type { Store } from '../store/store.ts'

/** Where a version is copied from, and in how many parts. */
export interface CopyPlan {
  /** Id of the version that is copied. */
  from: string
  slices: number
}

/** A claimed part. */
export interface Slice {
  /** From 1 on. */
  number: number
  /** The task that somebody who is gone has started. */
  task: string | null
  /** Documents that are on record for it. */
  documents: number
}

/** The plan of a copy under way; undefined when there is none. */
export async function copyPlan({ db, table }: Store, versionId: string): Promise<CopyPlan | undefined> {
  const [row] = await db.query<{ from: string; slices: number }>(
    `SELECT copy_from AS "from", count(*)::int AS slices FROM ${table.populate_ranges}
     WHERE version_id = $1 AND copy_from IS NOT NULL GROUP BY copy_from`,
    [versionId],
  )
  return row
}

/** Records the parts of a copy. */
export async function planSlices({ db, table }: Store, versionId: string, { from, slices }: CopyPlan): Promise<void> {
  await db.query(
    `INSERT INTO ${table.populate_ranges} (version_id, number, copy_from)
     SELECT $1, n, $2 FROM generate_series(1, $3::int) n
     WHERE NOT EXISTS (SELECT FROM ${table.populate_ranges} WHERE version_id = $1) ON CONFLICT DO NOTHING`,
    [versionId, from, slices],
  )
}

/** Claims a part that nobody holds; undefined when there is none now. */
export async function claimSlice(
  { db, table }: Store,
  versionId: string,
  token: string,
  leaseMs: number,
): Promise<Slice | undefined> {
  const [slice] = await db.query<Slice>(
    `UPDATE ${table.populate_ranges} r
     SET token = $2, expires_at = clock_timestamp() + $3 * interval '1 millisecond'
     WHERE r.version_id = $1 AND r.number = (
       SELECT number FROM ${table.populate_ranges}
       WHERE version_id = $1 AND copy_from IS NOT NULL AND NOT done AND expires_at <= clock_timestamp()
       ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING number, task, documents::float8 AS documents`,
    [versionId, token, leaseMs],
  )
  return slice
}

/** What is kept of a part. */
export interface SliceState {
  task: string | null
  documents: number
  done: boolean
}

/** Keeps how far a part is, and prolongs the lease (0 gives it back); false when it was lost. */
export async function holdSlice(
  { db, table }: Store,
  versionId: string,
  { number, token }: { number: number; token: string },
  { task, documents, done }: SliceState,
  leaseMs: number,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE ${table.populate_ranges}
     SET task = $4, documents = $5, done = $6, expires_at = clock_timestamp() + $7 * interval '1 millisecond'
     WHERE version_id = $1 AND number = $2 AND token = $3 AND NOT done RETURNING number`,
    [versionId, number, token, task, documents, done, leaseMs],
  )
  return rows.length === 1
}

/** Tasks on record that have not ended. */
export async function tasksOf({ db, table }: Store, versionId: string): Promise<string[]> {
  const rows = await db.query<{ task: string }>(
    `SELECT task FROM ${table.populate_ranges} WHERE version_id = $1 AND task IS NOT NULL AND NOT done`,
    [versionId],
  )
  return rows.map((each) => each.task)
}

/** Milliseconds until the last lease of a part has run out. */
export async function leasedForMs({ db, table }: Store, versionId: string): Promise<number> {
  const [row] = await db.query<{ ms: number }>(
    `SELECT coalesce(greatest(0, extract(epoch FROM max(expires_at) - clock_timestamp()) * 1000), 0)::float8 AS ms
     FROM ${table.populate_ranges} WHERE version_id = $1 AND copy_from IS NOT NULL AND NOT done`,
    [versionId],
  )
  return row!.ms
}

/** Forgets the parts of a copy. */
export async function forgetSlices({ db, table }: Store, versionId: string): Promise<void> {
  await db.query(`DELETE FROM ${table.populate_ranges} WHERE version_id = $1 AND copy_from IS NOT NULL`, [versionId])
}
