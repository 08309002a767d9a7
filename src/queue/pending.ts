/**
 * Pending rows: claiming them and settling claims.
 * @module
 */
import type { Store } from '../store/store.ts'

/** A claimed key; the claim is known by its token. */
export interface Claimed {
  key: string
  generation: string
}

/**
 * Claims due keys of one version until `leaseMs` from now: new ones, released ones, and those whose claim ran out.
 * The token is new with every claim, so a late finisher of an older claim of the same process finds nothing to settle.
 */
export async function claim(
  store: Store,
  versionId: string,
  token: string,
  size: number,
  leaseMs: number,
): Promise<Claimed[]> {
  return await store.db.query<Claimed & Record<string, unknown>>(
    `WITH due AS MATERIALIZED (
       SELECT p.key FROM ${store.table.pending} p
       WHERE p.version_id = $1 AND p.due_at <= clock_timestamp()
         AND EXISTS (SELECT FROM ${store.table.index_versions} v WHERE v.id = $1 AND v.state <> 'dropped')
       ORDER BY p.due_at LIMIT $3 FOR UPDATE OF p SKIP LOCKED)
     UPDATE ${store.table.pending} p SET token = $2, due_at = clock_timestamp() + $4 * interval '1 millisecond',
       oldest_change = least(p.oldest_change, p.merged_change), merged_change = NULL
     FROM due WHERE p.version_id = $1 AND p.key = due.key
     RETURNING p.key, p.generation`,
    [versionId, token, size, leaseMs],
  )
}

/** What became of a claimed key. */
export interface Settled extends Claimed {
  /** The row was gone or out of scope, and the document was deleted. */
  absent: boolean
}

/**
 * Settles keys that were written: deletes those that nothing changed since the claim, releases the others.
 * Only what the token still holds is touched. While the version is populated, deletes are recorded in the same
 * statement: the cluster may forget them before a late page arrives.
 */
export async function settle(
  store: Store,
  versionId: string,
  token: string,
  settled: readonly Settled[],
): Promise<void> {
  if (settled.length === 0) return
  await store.db.query(
    `WITH done AS (SELECT * FROM unnest($3::text[], $4::bigint[], $5::boolean[]) AS d(key, generation, absent)),
     held AS MATERIALIZED (
       SELECT p.key, p.generation = d.generation AS unmoved, d.absent
       FROM ${store.table.pending} p JOIN done d ON p.key = d.key COLLATE "C"
       WHERE p.version_id = $1 AND p.token = $2 ORDER BY p.key FOR UPDATE OF p),
     recorded AS (
       INSERT INTO ${store.table.populate_deletes} (version_id, key)
       SELECT $1, h.key FROM held h WHERE h.absent AND EXISTS (
         SELECT FROM ${store.table.index_versions} v WHERE v.id = $1 AND v.state IN ('created', 'populating'))
       ON CONFLICT DO NOTHING),
     released AS (
       UPDATE ${store.table.pending} p SET token = NULL, due_at = clock_timestamp(), attempts = 0, error = NULL,
         oldest_change = coalesce(p.merged_change, p.oldest_change), merged_change = NULL
       FROM held h WHERE p.version_id = $1 AND p.key = h.key AND NOT h.unmoved)
     DELETE FROM ${store.table.pending} p USING held h WHERE p.version_id = $1 AND p.key = h.key AND h.unmoved`,
    [
      versionId,
      token,
      settled.map((each) => each.key),
      settled.map((each) => each.generation),
      settled.map((each) => each.absent),
    ],
  )
}

/** A key that was surely not written. */
export interface Refused {
  key: string
  reason: string
  /** True counts as an attempt at the document itself; false is somebody else's fault (load, outage). */
  counts: boolean
}

/** A key after its refusal. */
export interface RefusedKey {
  key: string
  attempts: number
  aborted: boolean
}

/** Releases keys that were surely not written, to be claimed again after a back-off; out of attempts they are aborted. */
export async function release(
  store: Store,
  versionId: string,
  token: string,
  refused: readonly Refused[],
  maxAttempts: number,
): Promise<RefusedKey[]> {
  if (refused.length === 0) return []
  return await store.db.query<RefusedKey & Record<string, unknown>>(
    `WITH failed AS (SELECT * FROM unnest($3::text[], $4::text[], $5::boolean[]) AS f(key, reason, counts)),
     held AS MATERIALIZED (
       SELECT p.key, p.attempts + f.counts::int AS tried, f.reason FROM ${store.table.pending} p
       JOIN failed f ON p.key = f.key COLLATE "C"
       WHERE p.version_id = $1 AND p.token = $2 ORDER BY p.key FOR UPDATE OF p)
     UPDATE ${store.table.pending} p SET token = NULL, attempts = h.tried, error = h.reason,
       oldest_change = least(p.oldest_change, p.merged_change), merged_change = NULL,
       aborted_at = CASE WHEN h.tried >= $6 THEN clock_timestamp() END,
       due_at = CASE WHEN h.tried >= $6 THEN 'infinity'
         ELSE clock_timestamp() + least(300, 0.25 * 2 ^ h.tried) * (0.5 + random()) * interval '1 second' END
     FROM held h WHERE p.version_id = $1 AND p.key = h.key
     RETURNING p.key, p.attempts, p.aborted_at IS NOT NULL AS aborted`,
    [
      versionId,
      token,
      refused.map((each) => each.key),
      refused.map((each) => each.reason),
      refused.map((each) => each.counts),
      maxAttempts,
    ],
  )
}

/** Backlog of one version. */
export interface Backlog {
  versionId: string
  backlog: number
  /** Age of the oldest pending row in milliseconds; 0 when there is none. */
  lagMs: number
  aborted: number
}

/** Backlog, lag and aborted of versions. */
export async function backlogs(store: Store, versionIds: readonly string[]): Promise<Backlog[]> {
  return await store.db.query<Backlog & Record<string, unknown>>(
    `SELECT v.id AS "versionId", count(p.key) FILTER (WHERE p.aborted_at IS NULL)::int AS backlog,
       coalesce(extract(epoch FROM clock_timestamp() - min(p.made_at) FILTER (WHERE p.aborted_at IS NULL)) * 1000, 0)::float8
         AS "lagMs",
       count(p.key) FILTER (WHERE p.aborted_at IS NOT NULL)::int AS aborted
     FROM unnest($1::bigint[]) AS v(id) LEFT JOIN ${store.table.pending} p ON p.version_id = v.id GROUP BY v.id`,
    [versionIds],
  )
}
