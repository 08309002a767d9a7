/**
 * After a restart, Elasticsearch has forgotten which documents were deleted, so a request that was late may have brought
 * one back. The ids of every version are checked then, by whoever has its code.
 * @module
 */
import type { Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'

/** A version whose ids are to be checked. */
export interface IdCheck {
  versionId: string
  /** When the restart was noticed. */
  notedAt: string
}

/** Asks for a check of versions; what is asked for during a check asks for another. */
export async function noteRestart({ table }: Store, on: Queryable, versionIds: readonly string[]): Promise<void> {
  await on.query(
    `INSERT INTO ${table.id_checks} (version_id) SELECT unnest($1::bigint[])
     ON CONFLICT (version_id) DO UPDATE SET noted_at = clock_timestamp()`,
    [versionIds],
  )
}

/** Checks that wait, of complete versions; one that is populated checks by itself what was deleted meanwhile. */
export async function waitingChecks({ db, table }: Store, versionIds: readonly string[]): Promise<IdCheck[]> {
  return await db.query<IdCheck>(
    `SELECT c.version_id AS "versionId", to_json(c.noted_at) #>> '{}' AS "notedAt" FROM ${table.id_checks} c
     JOIN ${table.index_versions} v ON v.id = c.version_id
     WHERE c.version_id = ANY ($1::bigint[]) AND v.state IN ('ready', 'active', 'retired') AND v.abandoned_at IS NULL ORDER BY c.version_id`,
    [versionIds],
  )
}

/** Forgets a check that was carried out, unless it was asked for again meanwhile; and those of versions that are gone. */
export async function forgetCheck({ db, table }: Store, { versionId, notedAt }: IdCheck): Promise<void> {
  await db.query(
    `DELETE FROM ${table.id_checks} c WHERE version_id = $1 AND noted_at = $2::timestamptz OR NOT EXISTS (
       SELECT FROM ${table.index_versions} v WHERE v.id = c.version_id AND v.state <> 'dropped' AND v.abandoned_at IS NULL)`,
    [versionId, notedAt],
  )
}
