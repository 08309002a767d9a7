/**
 * Which versions a worker serves, and what becomes of those that nobody serves.
 * @module
 */
import type { Definition } from '../search/definition.ts'
import { forgetGone } from '../search/forget.ts'
import { isMadeFrom, listVersions } from '../search/versions.ts'
import { openSession } from '../store/lock.ts'
import type { Store } from '../store/store.ts'
import type { LaneOptions } from './lanes.ts'
import { takeOutdated } from './outdated.ts'
import type { Served } from './process.ts'
import { noteMs } from './unserved.ts'

/** What tells which versions a worker serves. */
export interface ServingOptions extends LaneOptions {
  prefix: string
  definitions: readonly Definition[]
  /** Ids of the only versions to work on; all that this code serves where it is not given. */
  only?: readonly string[] | undefined
  /** Milliseconds after which a retired version that nobody served is given up. */
  abandonMs: number
}

/**
 * Versions whose definition this code has, in every state in which they have a physical index. Read anew whenever
 * versions come and go.
 */
export async function servedVersions(
  options: Pick<ServingOptions, 'store' | 'prefix' | 'definitions' | 'only'>,
): Promise<Served[]> {
  const versions = await listVersions(options.store, options.prefix)
  return versions.flatMap((version) => {
    const definition = options.definitions.find((each) => isMadeFrom(version, each))
    const isKept = version.state !== 'created' && version.abandonedAt === null
    if (!definition || !isKept || !(options.only?.includes(version.id) ?? true)) return []
    return [{ version, source: definition.source, hash: definition.hash }]
  })
}

/** Notes that versions are served; of a whole fleet, one process writes it, once a minute. */
async function noteServed({ db, table }: Store, versionIds: readonly string[]): Promise<void> {
  // Rows that a dispatch has locked are noted the next time.
  await db.query(
    `WITH stale AS MATERIALIZED (
       SELECT id FROM ${table.index_versions}
       WHERE id = ANY ($1::bigint[])
         AND (served_at IS NULL OR served_at < clock_timestamp() - $2 * interval '1 millisecond')
       ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
     UPDATE ${table.index_versions} v SET served_at = clock_timestamp() FROM stale WHERE v.id = stale.id`,
    [versionIds, noteMs],
  )
}

interface Unattended {
  id: string
  index: string
  number: number
  state: string
  sinceMs: number
}

// Versions with work that nobody has done for three notes, and retired ones whether they have any or not.
async function unattended({ db, table }: Store, prefix: string): Promise<Unattended[]> {
  const since = 'clock_timestamp() - greatest(v.served_at, v.retired_at, v.created_at)'
  return await db.query<Unattended & Record<string, unknown>>(
    `SELECT v.id, i.name AS "index", v.number, v.state, (extract(epoch FROM ${since}) * 1000)::float8 AS "sinceMs"
     FROM ${table.index_versions} v JOIN ${table.indexes} i ON i.id = v.index_id
     WHERE i.prefix = $1 AND v.state NOT IN ('created', 'dropped') AND v.abandoned_at IS NULL
       AND ${since} > $2 * interval '1 millisecond'
       AND (v.state = 'retired' OR EXISTS (SELECT FROM ${table.pending} p WHERE p.version_id = v.id))
     ORDER BY v.id`,
    [prefix, 3 * noteMs],
  )
}

/**
 * Gives up a retired version that nobody serves: it gets no changes any more, and what waits for it is deleted. Under the
 * run lock, so that no activation begins or ends meanwhile; false while somebody else holds it, or when it is served
 * again. A crash leaves rows that are deleted by the next worker that gives up or forgets a version.
 */
async function abandon(store: Store, id: string, abandonMs: number): Promise<boolean> {
  const session = await openSession(store)
  try {
    if (!(await session.tryLock('run'))) return false
    const rows = await store.db.query(
      `UPDATE ${store.table.index_versions} v SET abandoned_at = clock_timestamp()
       WHERE id = $1 AND state = 'retired' AND abandoned_at IS NULL
         AND greatest(served_at, retired_at, created_at) < clock_timestamp() - $2 * interval '1 millisecond' RETURNING id`,
      [id, abandonMs],
    )
    return rows.length > 0
  } finally {
    await session.close()
  }
}

/**
 * Makes what a worker does once a minute, beside its work: notes which versions it serves, tells of versions that nobody
 * does (`queue:version:unserved`, once each), and gives up retired ones (`queue:version:abandoned`).
 */
export function createAttendance(options: ServingOptions): (served: readonly Served[]) => Promise<void> {
  const { store, prefix, emitter, abandonMs } = options
  const told = new Set<string>()
  return async (served) => {
    await noteServed(store, served.map((each) => each.version.id))
    await takeOutdated(store, served)
    if (options.only) return
    const found = await unattended(store, prefix)
    let abandoned = 0
    for (const { id, index, number: version, state, sinceMs } of found) {
      if (state === 'retired' && sinceMs > abandonMs && await abandon(store, id, abandonMs)) {
        abandoned++
        emitter.emit('queue:version:abandoned', { index, version })
      } else if (state !== 'retired' && !told.has(id)) {
        told.add(id)
        emitter.emit('queue:version:unserved', { index, version, state, sinceMs })
      }
    }
    for (const id of told) if (!found.some((each) => each.id === id)) told.delete(id)
    if (abandoned > 0) await forgetGone(store)
  }
}
