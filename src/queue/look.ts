/**
 * What waits in the queue, told by one statement.
 * @module
 */
import type { Store } from '../store/store.ts'

/** What a worker has to know again and again. */
export interface Look {
  /** Changes wait to be dispatched. */
  changes: boolean
  /** Sweeps wait for somebody who serves their version. */
  sweeps: boolean
  /** Ids of those of the given versions that have keys to claim now. */
  due: string[]
  /** Another text whenever a version came, went, moved to another state or was changed in place. */
  versions: string
}

/**
 * Looks for work. The only statement of an idle worker, so each part of it reads one entry of an index, however much
 * waits and however much was there before: by ORDER BY and LIMIT, because for a mere EXISTS PostgreSQL would rather read
 * the table from its beginning, with all the rows that were deleted since the last vacuum.
 */
export async function lookAt({ db, table }: Store, prefix: string, versionIds: readonly string[]): Promise<Look> {
  const [row] = await db.query<Look & Record<string, unknown>>(
    `SELECT (SELECT c.id FROM ${table.changes} c WHERE NOT c.sweep
         ORDER BY c.table_name, c.id LIMIT 1) IS NOT NULL AS changes,
       (SELECT c.id FROM ${table.changes} c WHERE c.sweep AND c.version_id = ANY ($2::bigint[])
         ORDER BY c.id LIMIT 1) IS NOT NULL AS sweeps,
       (SELECT coalesce(jsonb_agg(v.id::text), '[]') FROM unnest($2::bigint[]) AS v(id) WHERE (
         SELECT p.due_at FROM ${table.pending} p WHERE p.version_id = v.id
         ORDER BY p.due_at LIMIT 1) <= clock_timestamp()) AS due,
       (SELECT coalesce(string_agg(v.id || v.state || v.hash || (v.abandoned_at IS NULL), ' ' ORDER BY v.id), '')
        FROM ${table.index_versions} v JOIN ${table.indexes} i ON i.id = v.index_id
        WHERE i.prefix = $1 AND v.state <> 'dropped') AS versions`,
    [prefix, versionIds],
  )
  return row!
}
