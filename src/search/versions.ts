/**
 * The rows about index versions.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Dependency, Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'
import type { Snapshot } from './definition.ts'
import { drawRevision } from './revisions.ts'

/** States of a version. */
export const versionStates = ['created', 'populating', 'ready', 'active', 'retired', 'dropped'] as const

/** One of the states. */
export type VersionState = (typeof versionStates)[number]

/** One physical index made from one definition snapshot. */
export interface Version {
  /** Number of the row. */
  id: string
  /** Name of the index, without prefix. */
  index: string
  /** Environment prefix it was made with. */
  prefix: string
  /** Its number, from 1 on; never used again. */
  number: number
  /** Name of the physical index: prefix, name, `-`, number. */
  physical: string
  /** Hash of its definition. */
  hash: string
  /** Hashes of the definitions that it had before it was changed in place, the oldest first. */
  olderHashes: string[]
  /** What it was made from, or changed to in place. */
  definition: Snapshot
  /** Where it is in its life. */
  state: VersionState
  /** Build id of the code that made it. */
  tag: string | null
  /** Rows when it was populated. */
  rowsExpected: number | null
  /** ISO time. */
  createdAt: string
  /** ISO time. */
  readyAt: string | null
  /** ISO time. */
  activatedAt: string | null
  /** ISO time; it gets no changes any more, because nobody served it for too long. */
  abandonedAt: string | null
  /** ISO time; from then on it gets no changes, and its physical index is about to be deleted. */
  droppedAt: string | null
  /** ISO time when its physical index was deleted. */
  removedAt: string | null
  /** Why it cannot be kept up to date any more. */
  dependencyError: string | null
  /** True while it is not sure that every process records what it reads now: it may lack changes. */
  awaitsWriters: boolean
}

/** Whether a version was filled to its end. */
export function isComplete({ state }: Pick<Version, 'state'>): boolean {
  return state === 'ready' || state === 'active' || state === 'retired'
}

/** Whether a version is still to be filled. */
export function isUnfilled({ state }: Pick<Version, 'state'>): boolean {
  return state === 'created' || state === 'populating'
}

/** The private alias that writes go to. */
export function writeAlias(version: Pick<Version, 'physical'>): string {
  return `${version.physical}.write`
}

/** The alias that readers use. */
export function readAlias(version: Pick<Version, 'prefix' | 'index'>): string {
  return `${version.prefix}${version.index}`
}

/** The alias of the version built for exactly one definition. */
export function definitionAlias(version: Pick<Version, 'prefix' | 'index' | 'hash'>): string {
  return `${readAlias(version)}~${version.hash.slice(0, 8)}`
}

const columns =
  `v.id, i.name AS "index", i.prefix, v.number, v.physical, v.hash, to_json(v.older_hashes) AS "olderHashes",
  v.definition, v.state, v.tag,
  v.rows_expected::float8 AS "rowsExpected", to_json(v.created_at) #>> '{}' AS "createdAt",
  to_json(v.ready_at) #>> '{}' AS "readyAt", to_json(v.activated_at) #>> '{}' AS "activatedAt",
  to_json(v.abandoned_at) #>> '{}' AS "abandonedAt", to_json(v.dropped_at) #>> '{}' AS "droppedAt",
  to_json(v.removed_at) #>> '{}' AS "removedAt", v.dependency_error AS "dependencyError", v.awaits_writers AS "awaitsWriters"`

/** All versions of a prefix that are not dropped, in the order of index and number. */
export async function listVersions(store: Store, prefix: string): Promise<Version[]> {
  return await store.db.query<Version>(
    `SELECT ${columns} FROM ${store.table.index_versions} v JOIN ${store.table.indexes} i ON i.id = v.index_id
     WHERE i.prefix = $1 AND v.state <> 'dropped' ORDER BY i.name, v.number`,
    [prefix],
  )
}

/** The dropped versions of a prefix, which stay on record, in the order of index and number. */
export async function listDropped(store: Store, prefix: string): Promise<Version[]> {
  return await store.db.query<Version>(
    `SELECT ${columns} FROM ${store.table.index_versions} v JOIN ${store.table.indexes} i ON i.id = v.index_id
     WHERE i.prefix = $1 AND v.state = 'dropped' ORDER BY i.name, v.number`,
    [prefix],
  )
}

/** The active version of an index; undefined where it has none. */
export async function activeVersion(
  { store, prefix }: { store: Store; prefix: string },
  index: string,
): Promise<Version | undefined> {
  return (await listVersions(store, prefix)).find((each) => each.index === index && each.state === 'active')
}

/** The version as it is now. */
export async function readVersion(store: Store, id: string): Promise<Version> {
  const [version] = await store.db.query<Version>(
    `SELECT ${columns} FROM ${store.table.index_versions} v JOIN ${store.table.indexes} i ON i.id = v.index_id
     WHERE v.id = $1`,
    [id],
  )
  const next = 'npx umzug es:list'
  if (!version) throw new ElasticUmzugError('VERSION_UNKNOWN', `There is no index version of id ${id}.`, { next })
  return version
}

/** What a new version is made of. */
export interface NewVersion {
  prefix: string
  name: string
  hash: string
  definition: Snapshot
  dependencies: Dependency[]
  tag: string | null
}

/** Registers a version with the next number; from the commit on, every change is dispatched to it too. */
export async function registerVersion(store: Store, version: NewVersion): Promise<Version> {
  const id = await store.db.transaction(async (tx) => {
    const revision = await drawRevision(store, tx)
    const { indexId, number } = await nextNumber(store, tx, version)
    const [row] = await tx.query<{ id: string }>(
      `INSERT INTO ${store.table.index_versions}
         (index_id, number, physical, hash, definition, dependencies, state, tag, revision)
       VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb, 'created', $7, $8) RETURNING id`,
      [
        indexId,
        number,
        `${version.prefix}${version.name}-${number}`,
        version.hash,
        JSON.stringify(version.definition),
        JSON.stringify(version.dependencies),
        version.tag,
        revision,
      ],
    )
    return row!.id
  })
  return await readVersion(store, id)
}

// The number is counted up for good: a name that was used once is never used again.
async function nextNumber(store: Store, tx: Queryable, { prefix, name }: NewVersion) {
  const [row] = await tx.query<{ indexId: string; number: number }>(
    `INSERT INTO ${store.table.indexes} AS i (prefix, name, last_number) VALUES ($1, $2, 1)
     ON CONFLICT (prefix, name) DO UPDATE SET last_number = i.last_number + 1
     RETURNING id AS "indexId", last_number AS number`,
    [prefix, name],
  )
  return row!
}

/** True when a version was made from this definition, or changed to it in place, or changed from it: this code can serve it. */
export function isMadeFrom(
  { index, hash, olderHashes = [] }: Pick<Version, 'index' | 'hash'> & Partial<Pick<Version, 'olderHashes'>>,
  definition: { name: string; hash: string },
): boolean {
  return definition.name === index && (definition.hash === hash || olderHashes.includes(definition.hash))
}

/** True when a version is as this definition says, and has not been changed in place for newer code since. */
export function isNewestOf(
  { index, hash }: Pick<Version, 'index' | 'hash'>,
  definition: { name: string; hash: string },
) {
  return definition.name === index && definition.hash === hash
}

/** Gives aborted keys of a version one more attempt: what was wrong with them may be mended. Gives their number. */
export async function retryAborted(store: Store, id: string, maxAttempts: number): Promise<number> {
  // Locked in key order, as a dispatch does: two of them cannot wait for each other.
  const rows = await store.db.query(
    `WITH held AS MATERIALIZED (
       SELECT key FROM ${store.table.pending} WHERE version_id = $1 AND due_at = 'infinity' ORDER BY key FOR UPDATE)
     UPDATE ${store.table.pending} p SET aborted_at = NULL, attempts = $2, due_at = clock_timestamp()
     FROM held WHERE p.version_id = $1 AND p.key = held.key AND p.aborted_at IS NOT NULL RETURNING p.key`,
    [id, maxAttempts - 1],
  )
  return rows.length
}

/** The first aborted keys of a version, with the reason. */
export async function abortedKeys(store: Store, id: string): Promise<{ key: string; reason: string }[]> {
  return await store.db.query(
    `SELECT key, coalesce(error, '') AS reason FROM ${store.table.pending}
     WHERE version_id = $1 AND due_at = 'infinity' ORDER BY key LIMIT 3`,
    [id],
  )
}

/**
 * Asks for a sweep of the index if the table was truncated while the version was populated: a page that was read
 * before may have been written after the sweep that the TRUNCATE asked for itself. False when there was none.
 */
export async function requestSweep({ db, table }: Store, id: string): Promise<boolean> {
  const rows = await db.query(
    `WITH truncated AS (
       UPDATE ${table.index_versions} SET truncated = false WHERE id = $1 AND truncated RETURNING id, physical)
     INSERT INTO ${table.changes} (table_name, version_id, sweep) SELECT physical, id, true FROM truncated RETURNING id`,
    [id],
  )
  return rows.length > 0
}

/** Moves a version from one of the given states to another; false when it was in none of them. */
export async function moveVersion(
  store: Store,
  id: string,
  from: readonly VersionState[],
  to: VersionState,
): Promise<boolean> {
  const stamp = to === 'ready' ? ', ready_at = clock_timestamp()' : ''
  const rows = await store.db.query(
    `UPDATE ${store.table.index_versions} SET state = $3${stamp} WHERE id = $1 AND state = ANY ($2) RETURNING id`,
    [id, from, to],
  )
  return rows.length === 1
}

/**
 * Records which version the alias points at: it is active, the one before is retired. False when it was dropped: that is
 * for good, and nothing has changed.
 */
export async function recordActive(store: Store, version: Version): Promise<boolean> {
  return await store.db.transaction(async (tx) => {
    const kept = await tx.query(
      `SELECT FROM ${store.table.index_versions} WHERE id = $1 AND state <> 'dropped' FOR UPDATE`,
      [version.id],
    )
    if (kept.length === 0) return false
    await tx.query(
      `UPDATE ${store.table.index_versions} SET state = 'retired', retired_at = clock_timestamp()
       WHERE state = 'active' AND id <> $1
         AND index_id = (SELECT index_id FROM ${store.table.index_versions} WHERE id = $1)`,
      [version.id],
    )
    await tx.query(
      `UPDATE ${store.table.index_versions} SET state = 'active', activated_at = clock_timestamp()
       WHERE id = $1 AND state <> 'active'`,
      [version.id],
    )
    return true
  })
}
