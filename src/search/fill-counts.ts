/**
 * What killed processes filled of a version, counted to the end.
 * @module
 */
import { isHeld } from '../store/lock.ts'
import type { Store } from '../store/store.ts'

/**
 * A killed process has not told of its last pages. Their checkpoints have: what they hold above the counts of all parts that
 * filled the version is added to the last one that was killed, so that the counts of all are those of the version. While
 * somebody else takes part, whose counts grow, it is left.
 */
export async function countKilled({ db, table, schema }: Store, versionId: string, physical: string): Promise<void> {
  await db.query(
    `WITH parts AS (
       SELECT a.id, a.counts, a.state, a.state = 'in_progress' AND (
         ${isHeld('$3', `'action.' || a.id`)} OR ${isHeld('$3', `'action.' || a.parent_id`)}) AS alive
       FROM ${table.actions} a
       WHERE a.target = $2 AND a.parent_id IS NOT NULL AND ((a.checkpoint ->> 'fill')::boolean OR a.options ? 'joined')),
     missing AS (
       SELECT (SELECT sum(documents) FROM ${table.populate_ranges} WHERE version_id = $1)
         - sum(coalesce((counts ->> 'documents')::numeric, 0)) AS documents, bool_or(alive) AS shared FROM parts)
     UPDATE ${table.actions} a
     SET counts = counts || jsonb_build_object('documents', coalesce((counts ->> 'documents')::numeric, 0) + m.documents)
     FROM missing m
     WHERE m.documents <> 0 AND NOT m.shared
       AND a.id = (SELECT max(id) FROM parts WHERE state = 'in_progress' AND NOT alive)`,
    [versionId, physical, schema],
  )
}
