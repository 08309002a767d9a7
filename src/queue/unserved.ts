/**
 * Versions that no running worker has the code for.
 * @module
 */
import type { Store } from '../store/store.ts'
import { mostCounted } from './pending.ts'

/** How often, in milliseconds, workers note which versions they serve. */
export const noteMs = 60_000

/** A version that nobody serves. */
export interface Unserved {
  /** Name, without prefix. */
  index: string
  /** Environment prefix it was made with. */
  prefix: string
  /** Number of the version. */
  number: number
  /** State of the version. */
  state: string
  /** Keys that wait for somebody who serves it, counted up to 1,000,000. */
  pending: number
  /** When somebody served it last, as ISO time; null when nobody ever did. */
  servedAt: string | null
  /** When it was given up, as ISO time: it gets no changes any more. */
  abandonedAt: string | null
}

/**
 * Versions with a physical index that no worker has served for three minutes, with what waits for them. A version that
 * is populated, ready or active and is in this list falls behind; a retired one cannot be gone back to.
 */
export async function unservedVersions({ db, table }: Store): Promise<Unserved[]> {
  return await db.query<Unserved & Record<string, unknown>>(
    `SELECT i.name AS "index", i.prefix, v.number, v.state,
       (SELECT count(*)::int FROM (
         SELECT FROM ${table.pending} p WHERE p.version_id = v.id LIMIT ${mostCounted}) x) AS pending,
       to_json(v.served_at) #>> '{}' AS "servedAt", to_json(v.abandoned_at) #>> '{}' AS "abandonedAt"
     FROM ${table.index_versions} v JOIN ${table.indexes} i ON i.id = v.index_id
     WHERE v.state NOT IN ('created', 'dropped')
       AND coalesce(v.served_at, v.created_at) < clock_timestamp() - $1 * interval '1 millisecond'
     ORDER BY i.prefix, i.name, v.number`,
    [3 * noteMs],
  )
}
