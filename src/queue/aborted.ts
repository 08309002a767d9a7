/**
 * Aborted keys: listing them, making them due again, forgetting them.
 * @module
 */
import type { Store } from '../store/store.ts'

/** Which aborted keys of some versions are meant. */
export interface AbortedFilter {
  versionIds: readonly string[]
  /** Only these keys. */
  keys?: readonly string[] | undefined
  /** Only those whose reason holds this text, in any case. */
  reason?: string | undefined
}

/** An aborted key. */
export interface AbortedKey {
  versionId: string
  key: string
  reason: string
  /** ISO time. */
  abortedAt: string
}

/** Most rows of one statement: it holds their locks. */
const pageSize = 10_000

// Aborted rows, and only they, are never due: the index on that finds them among millions. Asked again under the lock,
// because a change gives a row new attempts.
const chosen = `p.version_id = ANY ($1::bigint[]) AND p.due_at = 'infinity' AND p.aborted_at IS NOT NULL
  AND ($2::text[] IS NULL OR p.key = ANY ($2)) AND ($3::text IS NULL OR strpos(lower(p.error), lower($3)) > 0)`

function valuesOf({ versionIds, keys, reason }: AbortedFilter): unknown[] {
  return [versionIds, keys ?? null, reason ?? null]
}

/** The first aborted keys, in the order of version and key. */
export async function listAborted({ db, table }: Store, filter: AbortedFilter, limit: number): Promise<AbortedKey[]> {
  return await db.query<AbortedKey & Record<string, unknown>>(
    `SELECT p.version_id AS "versionId", p.key, coalesce(p.error, '') AS reason,
       to_json(p.aborted_at) #>> '{}' AS "abortedAt"
     FROM ${table.pending} p WHERE ${chosen} ORDER BY p.version_id, p.key LIMIT $4`,
    [...valuesOf(filter), limit],
  )
}

/** Number of aborted keys by version; only versions that have some. */
export async function countAborted({ db, table }: Store, filter: AbortedFilter): Promise<Map<string, number>> {
  const rows = await db.query<{ id: string; keys: number }>(
    `SELECT p.version_id AS id, count(*)::int AS keys FROM ${table.pending} p WHERE ${chosen} GROUP BY p.version_id`,
    valuesOf(filter),
  )
  return new Map(rows.map((each) => [each.id, each.keys]))
}

/** Makes aborted keys due again, with all their attempts; gives their number by version. Killed, it has done some. */
export async function retryKeys(store: Store, filter: AbortedFilter): Promise<Map<string, number>> {
  const set = 'token = NULL, aborted_at = NULL, attempts = 0, due_at = clock_timestamp()'
  return await inPages(store, filter, `UPDATE ${store.table.pending} p SET ${set} FROM held h`)
}

/**
 * Forgets aborted keys: their documents stay as they are until the rows change again. Gives their number by version.
 * Killed, it has done some.
 */
export async function clearKeys(store: Store, filter: AbortedFilter): Promise<Map<string, number>> {
  return await inPages(store, filter, `DELETE FROM ${store.table.pending} p USING held h`)
}

async function inPages(store: Store, filter: AbortedFilter, change: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  // What is aborted again meanwhile is not meant: there would be no end.
  const [began] = await store.db.query<{ at: string }>(`SELECT to_json(clock_timestamp()) #>> '{}' AS at`)
  for (;;) {
    // Locked in key order, as a dispatch does: two of them cannot wait for each other.
    const rows = await store.db.query<{ id: string; keys: number }>(
      `WITH held AS MATERIALIZED (
         SELECT p.version_id, p.key FROM ${store.table.pending} p
         WHERE ${chosen} AND p.aborted_at <= $5::timestamptz ORDER BY p.version_id, p.key LIMIT $4 FOR UPDATE),
       changed AS (${change} WHERE p.version_id = h.version_id AND p.key = h.key RETURNING p.version_id)
       SELECT version_id AS id, count(*)::int AS keys FROM changed GROUP BY version_id`,
      [...valuesOf(filter), pageSize, began!.at],
    )
    if (rows.length === 0) return counts
    for (const { id, keys } of rows) counts.set(id, (counts.get(id) ?? 0) + keys)
  }
}
