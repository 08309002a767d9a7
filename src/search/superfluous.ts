/**
 * Versions that nobody goes back to: dropped after an activation, so that indexes do not pile up.
 * @module
 */
import type { Store } from '../store/store.ts'
import { markDropped } from './drop.ts'

/** What finding them needs. */
export interface SuperfluousDeps {
  store: Store
  prefix: string
  /** Retired versions of each index that stay; undefined keeps all. */
  keepRetired?: number | undefined
}

/** A version that is not needed any more. */
export interface Superfluous {
  id: string
  physical: string
  /** Why, as a word. */
  reason: 'retired' | 'given up' | 'never finished'
}

/** A version that was begun and not served for so long, in milliseconds, is nobody's. */
const servedMs = 3 * 60_000

/**
 * Of indexes that have an active version: those retired before the newest `keepRetired`, those given up, and those that were
 * begun before the active one and that nobody fills or serves. Complete ones that were never active are somebody's
 * preparation, and stay.
 */
export async function superfluousVersions({ store, prefix, keepRetired }: SuperfluousDeps): Promise<Superfluous[]> {
  if (keepRetired === undefined) return []
  const { db, table } = store
  return await db.query<Superfluous & Record<string, unknown>>(
    `WITH retired AS (
       SELECT v.id, row_number() OVER (PARTITION BY v.index_id ORDER BY v.retired_at DESC NULLS LAST, v.number DESC) AS place
       FROM ${table.index_versions} v WHERE v.state = 'retired' AND v.abandoned_at IS NULL),
     judged AS (
       SELECT v.id, v.physical, i.name, v.number, CASE
         WHEN v.abandoned_at IS NOT NULL THEN 'given up'
         WHEN r.place > $2 THEN 'retired'
         WHEN v.state IN ('created', 'populating') AND v.number < a.number
           AND greatest(v.created_at, v.served_at) < clock_timestamp() - $3 * interval '1 millisecond'
           AND NOT EXISTS (SELECT FROM ${table.populate_ranges} p WHERE p.version_id = v.id AND NOT p.done
             AND p.expires_at > clock_timestamp()) THEN 'never finished' END AS reason
       FROM ${table.index_versions} v
       JOIN ${table.indexes} i ON i.id = v.index_id
       JOIN ${table.index_versions} a ON a.index_id = v.index_id AND a.state = 'active'
       LEFT JOIN retired r ON r.id = v.id
       WHERE i.prefix = $1 AND v.state IN ('created', 'populating', 'retired'))
     SELECT id, physical, reason FROM judged WHERE reason IS NOT NULL ORDER BY name, number`,
    [prefix, keepRetired, servedMs],
  )
}

/**
 * Marks them as dropped, under the run lock; any process deletes them later. Nobody waits for that. Gives those that were
 * marked.
 */
export async function dropSuperfluous(
  deps: SuperfluousDeps & { onLine(line: string): void },
): Promise<Superfluous[]> {
  const found = await superfluousVersions(deps)
  if (found.length === 0) return []
  const marked = await markDropped(deps.store, found.map((each) => each.id))
  const dropped = found.filter((each) => marked.includes(each.id))
  for (const { physical, reason } of dropped) {
    deps.onLine(`${physical}: ${reason}, dropped (keepRetired is ${deps.keepRetired}); it is deleted later`)
  }
  return dropped
}
