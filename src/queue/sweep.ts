/**
 * After a TRUNCATE the keys of the rows are known to the index only: a sweep enqueues every document it holds.
 * @module
 */
import type { Queryable } from '../ports.ts'
import { assertAnswer } from '../search/bulk.ts'
import { writeAlias } from '../search/versions.ts'
import type { ProcessDeps, Served } from './process.ts'

const pageSize = 1_000

/** Carries out one waiting sweep of the served versions, if nobody else is at it. Gives the number of sweeps. */
export async function sweep(deps: ProcessDeps, served: readonly Served[]): Promise<number> {
  if (served.length === 0) return 0
  const { store } = deps
  const ids = served.map((each) => each.version.id)
  const waiting = await store.db.query(
    `SELECT FROM ${store.table.changes} WHERE sweep AND version_id = ANY ($1::bigint[]) LIMIT 1`,
    [ids],
  )
  if (waiting.length === 0) return 0
  return await store.db.transaction(async (tx) => {
    // Locked until all keys are enqueued: a crash leaves the row, and the sweep begins again.
    const [row] = await tx.query<{ id: string; versionId: string; origin: string }>(
      `SELECT id, version_id AS "versionId", coalesce(origin, id) AS origin FROM ${store.table.changes}
       WHERE sweep AND version_id = ANY ($1::bigint[]) ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`,
      [ids],
    )
    if (!row) return 0
    const target = served.find((each) => each.version.id === row.versionId)!
    await enqueueDocuments(deps, tx, target, row.origin)
    await tx.query(`DELETE FROM ${store.table.changes} WHERE id = $1`, [row.id])
    return 1
  })
}

/** Enqueues the key of every document of a version, in the given transaction. */
export async function enqueueDocuments(deps: ProcessDeps, tx: Queryable, { version }: Served, origin: string): Promise<void> {
  for await (const keys of documentKeys(deps, writeAlias(version))) {
    await tx.query(
      `INSERT INTO ${deps.store.table.pending} AS p (version_id, key, oldest_change)
       SELECT $1, key, $3 FROM unnest($2::text[]) AS k(key) ORDER BY key COLLATE "C"
       ON CONFLICT (version_id, key) DO UPDATE SET generation = p.generation + 1,
         merged_change = least(p.merged_change, excluded.oldest_change),
         due_at = CASE WHEN p.token IS NULL THEN clock_timestamp() ELSE p.due_at END`,
      [version.id, keys, origin],
    )
  }
}

async function* documentKeys({ search }: ProcessDeps, alias: string): AsyncGenerator<string[]> {
  const path = `/${encodeURIComponent(alias)}`
  const refreshed = await search.request({ method: 'POST', path: `${path}/_refresh` })
  assertAnswer(refreshed.status, refreshed.body, `to refresh ${alias}`)
  const opened = await search.request<{ id: string }>({ method: 'POST', path: `${path}/_pit`, query: { keep_alive: '2m' } })
  assertAnswer(opened.status, opened.body, `a point in time of ${alias}`)
  let after: unknown[] | undefined
  for (;;) {
    const { status, body } = await search.request<{ hits: { hits: { _id: string; sort: unknown[] }[] } }>({
      method: 'POST',
      path: '/_search',
      body: {
        size: pageSize,
        _source: false,
        track_total_hits: false,
        pit: { id: opened.body.id, keep_alive: '2m' },
        sort: [{ _shard_doc: 'asc' }],
        ...(after ? { search_after: after } : {}),
      },
    })
    assertAnswer(status, body, `to list the documents of ${alias}`)
    const hits = body.hits.hits
    if (hits.length > 0) yield hits.map((each) => each._id)
    if (hits.length < pageSize) break
    after = hits[hits.length - 1]!.sort
  }
  await search.request({ method: 'DELETE', path: '/_pit', body: { id: opened.body.id } }).catch(() => {})
}
