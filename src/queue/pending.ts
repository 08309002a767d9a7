/**
 * Pending rows: claiming them and settling claims.
 * @module
 */
import { earlyDue, mergePending } from '../store/dispatch.ts'
import type { Store } from '../store/store.ts'
import { keepOutdated } from './outdated.ts'

/** A claimed key; the claim is known by its token. */
export interface Claimed {
  key: string
  generation: string
}

/**
 * Claims due keys of one version until `leaseMs` from now: new ones, released ones, and those whose claim ran out (rule 3
 * of the protocol). The token is new with every claim, so a late finisher of an older claim of the same process finds
 * nothing to settle.
 */
export async function claim(
  store: Store,
  versionId: string,
  token: string,
  size: number,
  leaseMs: number,
): Promise<Claimed[]> {
  // statement_timestamp() ends the scan of the index at the last due row; clock_timestamp() would look at every row. And a
  // limit that PostgreSQL does not know when it plans has it go along the index: believing that little waits, it would sort
  // all that does, for each batch. The rows are found again by their places; one that moved meanwhile is claimed next time.
  // All get one time: equal entries of the index are cheaper.
  return await store.db.query<Claimed>(
    `WITH due AS MATERIALIZED (
       SELECT p.ctid AS place FROM ${store.table.pending} p
       WHERE p.version_id = $1 AND p.due_at <= statement_timestamp()
         AND EXISTS (SELECT FROM ${store.table.index_versions} v WHERE v.id = $1 AND v.state <> 'dropped')
       ORDER BY p.due_at LIMIT (SELECT $3::int) FOR UPDATE OF p SKIP LOCKED)
     UPDATE ${store.table.pending} p SET token = $2, due_at = (SELECT clock_timestamp() + $4 * interval '1 millisecond'),
       oldest_change = least(p.oldest_change, p.merged_change), merged_change = NULL
     WHERE p.ctid = ANY (ARRAY(SELECT due.place FROM due))
     RETURNING p.key, p.generation`,
    [versionId, token, size, leaseMs],
  )
}

// SQL of a condition that always holds: the commit does not wait for the disk. A crash that takes it away leaves the claims,
// which run out, and the same is done again. Claims and numbers do wait: what they promise must not be given twice.
const atLeisure = `(SELECT set_config('synchronous_commit', 'off', true)) = 'off'`

/** What became of a claimed key. */
export interface Settled extends Claimed {
  /** The row was gone or out of scope, and the document was deleted. */
  absent: boolean
}

/**
 * Settles keys that were written: deletes those that nothing changed since the claim, releases the others, and gives the
 * number of those. Rule 6: only what the token still holds is touched, and nothing that was counted up meanwhile is
 * deleted. Rule 8: while the version is populated, deletes are recorded in the same statement, because the cluster may
 * forget them before a late page arrives. `hash` is that of the definition by which the documents were made: see `outdated.ts`.
 */
export async function settle(
  store: Store,
  versionId: string,
  token: string,
  settled: readonly Settled[],
  hash?: string,
): Promise<number> {
  if (settled.length === 0) return 0
  // FOR UPDATE waits for a dispatch of the key and then sees its generation, whatever the snapshot of the statement.
  // Key by key: whatever PostgreSQL believes about this table, which grows and shrinks all the time, it goes by its primary
  // key, in the order in which everybody locks, and passes over the entries of dead rows once it has met them.
  const [row] = await store.db.query<{ moved: number }>(
    `WITH done AS (
       SELECT d.* FROM unnest($3::text[], $4::bigint[], $5::boolean[]) AS d(key, generation, absent)
       WHERE ${atLeisure} ORDER BY d.key COLLATE "C"),
     held AS MATERIALIZED (
       SELECT p.key, p.place, p.generation = d.generation AS unmoved, d.absent
       FROM done d
       CROSS JOIN LATERAL (
         SELECT p.key, p.generation, p.ctid AS place FROM ${store.table.pending} p
         WHERE p.version_id = $1 AND p.key = d.key AND p.token = $2 FOR UPDATE) p),
     recorded AS (
       INSERT INTO ${store.table.populate_deletes} (version_id, key)
       SELECT $1, h.key FROM held h WHERE h.absent AND EXISTS (
         SELECT FROM ${store.table.index_versions} v WHERE v.id = $1 AND v.state IN ('created', 'populating'))
       ORDER BY h.key ON CONFLICT DO NOTHING),
     ${keepOutdated(store, '$6::text')},
     released AS (
       UPDATE ${store.table.pending} p SET token = NULL, due_at = ${earlyDue}, made_at = clock_timestamp(),
         attempts = 0, error = NULL,
         oldest_change = coalesce(p.merged_change, p.oldest_change), merged_change = NULL
       WHERE p.version_id = $1 AND p.key = ANY (ARRAY(SELECT h.key FROM held h WHERE NOT h.unmoved)) RETURNING p.key),
     gone AS (
       DELETE FROM ${store.table.pending} p
       WHERE p.ctid = ANY (ARRAY(SELECT h.place FROM held h WHERE h.unmoved)))
     SELECT count(*)::int AS moved FROM released`,
    [
      versionId,
      token,
      settled.map((each) => each.key),
      settled.map((each) => each.generation),
      settled.map((each) => each.absent),
      hash ?? null,
    ],
  )
  return row!.moved
}

/** A key that was surely not written. */
export interface Refused extends Claimed {
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

/**
 * Releases keys that were surely not written (rule 6), to be claimed again after a back-off; out of attempts they are
 * aborted. One that changed since the claim starts anew: it was an older document that was refused.
 */
export async function release(
  store: Store,
  versionId: string,
  token: string,
  refused: readonly Refused[],
  maxAttempts: number,
): Promise<RefusedKey[]> {
  if (refused.length === 0) return []
  return await store.db.query<RefusedKey>(
    `WITH failed AS (
       SELECT f.* FROM unnest($3::text[], $4::bigint[], $5::text[], $6::boolean[]) AS f(key, generation, reason, counts)
       WHERE ${atLeisure}),
     held AS MATERIALIZED (
       SELECT p.key, p.generation, p.attempts FROM ${store.table.pending} p
       WHERE p.version_id = $1 AND p.key = ANY ($3::text[]) AND p.token = $2 ORDER BY p.key FOR UPDATE),
     judged AS MATERIALIZED (
       SELECT h.key, f.reason, h.generation <> f.generation AS moved,
         CASE WHEN h.generation <> f.generation THEN 0 ELSE h.attempts + f.counts::int END AS tried,
         f.counts AND h.generation = f.generation AND h.attempts + 1 >= $7 AS over
       FROM held h JOIN failed f ON f.key = h.key COLLATE "C")
     UPDATE ${store.table.pending} p SET token = NULL, attempts = h.tried, error = h.reason,
       oldest_change = least(p.oldest_change, p.merged_change), merged_change = NULL,
       aborted_at = CASE WHEN h.over THEN clock_timestamp() END,
       due_at = CASE WHEN h.over THEN 'infinity' WHEN h.moved THEN ${earlyDue}
         ELSE clock_timestamp() + least(300, 0.25 * 2 ^ least(h.tried, 12)) * (0.5 + random()) * interval '1 second' END
     FROM judged h
     WHERE p.version_id = $1 AND p.key = h.key AND p.key = ANY (ARRAY(SELECT j.key FROM judged j))
     RETURNING p.key, p.attempts, p.aborted_at IS NOT NULL AS aborted`,
    [
      versionId,
      token,
      refused.map((each) => each.key),
      refused.map((each) => each.generation),
      refused.map((each) => each.reason),
      refused.map((each) => each.counts),
      maxAttempts,
    ],
  )
}

/** Enqueues keys of one version for a change, as dispatching it would. */
export async function enqueue(
  store: Store,
  versionId: string,
  keys: readonly string[],
  { origin, madeAt }: { origin: string; madeAt: string },
): Promise<void> {
  await store.db.query(
    `INSERT INTO ${store.table.pending} AS p (version_id, key, oldest_change, made_at)
     SELECT $1, key, $3, $4::timestamptz FROM unnest($2::text[]) AS k(key) ORDER BY key COLLATE "C"
     ${mergePending}`,
    [versionId, keys, origin, madeAt],
  )
}

/** Backlog of one version. */
export interface Backlog {
  versionId: string
  /** Number of pending rows, counted up to `mostCounted`. */
  backlog: number
  /** Age of the oldest pending row in milliseconds; 0 when there is none. */
  lagMs: number
  aborted: number
}

/** Where counting ends: that there are more is all that anybody needs to know. */
export const mostCounted = 1_000_000

/** Backlog, lag and aborted of versions. */
export async function backlogs({ db, table }: Store, versionIds: readonly string[]): Promise<Backlog[]> {
  return await db.query<Backlog>(
    `SELECT v.id AS "versionId", w.backlog, a.aborted,
       coalesce(extract(epoch FROM clock_timestamp() - w.oldest) * 1000, 0)::float8 AS "lagMs"
     FROM unnest($1::bigint[]) AS v(id)
     CROSS JOIN LATERAL (
       SELECT count(*)::int AS backlog, min(made_at) AS oldest FROM (
         SELECT p.made_at FROM ${table.pending} p WHERE p.version_id = v.id AND p.due_at < 'infinity'
         ORDER BY p.due_at LIMIT ${mostCounted}) p) w
     CROSS JOIN LATERAL (
       SELECT count(*)::int AS aborted FROM (
         SELECT FROM ${table.pending} p WHERE p.version_id = v.id AND p.due_at = 'infinity' LIMIT ${mostCounted}) p) a`,
    [versionIds],
  )
}
