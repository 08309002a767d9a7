/**
 * From when on rows may have changed that an update did not see.
 * @module
 */
import type { Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'

/** Clocks of the machines that write, and of the database, may differ by this. */
const skew = '1 minute'
/** Taken off where the server does not say how old the transactions of other roles are. */
const hiddenSkew = '1 hour'

/**
 * ISO time before which whatever was written is committed and visible now: the start of the oldest transaction under
 * way, also of a prepared one, less what clocks may differ by.
 */
export async function settledMoment(db: Queryable): Promise<string> {
  const [row] = await db.query<{ at: string }>(
    `SELECT to_json(least(statement_timestamp(), min(a.xact_start),
         (SELECT min(p.prepared) FROM pg_prepared_xacts p WHERE p.database = current_database()))
       - CASE WHEN bool_or(a.query = '<insufficient privilege>') THEN interval '${hiddenSkew}' ELSE interval '${skew}' END) #>> '{}' AS at
     FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()`,
  )
  return row!.at
}

/** ISO time from which on a version may lack changes that nobody captured; undefined where no update of it is complete. */
export async function lastUpdate({ db, table }: Store, physical: string): Promise<string | undefined> {
  const [row] = await db.query<{ at: string }>(
    `SELECT checkpoint ->> 'from' AS at FROM ${table.actions}
     WHERE target = $1 AND parent_id IS NOT NULL AND state = 'complete' AND (checkpoint ->> 'whole')::boolean
     ORDER BY id DESC LIMIT 1`,
    [physical],
  )
  return row?.at
}

/** ISO time when the filling of a version was begun by the first of those that filled it; undefined where none did. */
export async function firstFill({ db, table }: Store, physical: string): Promise<string | undefined> {
  const [row] = await db.query<{ at: string | null }>(
    `SELECT min(checkpoint ->> 'from') AS at FROM ${table.actions}
     WHERE target = $1 AND parent_id IS NOT NULL AND (checkpoint ->> 'fill')::boolean`,
    [physical],
  )
  return row?.at ?? undefined
}
