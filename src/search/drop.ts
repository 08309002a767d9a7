/**
 * Drops versions in two steps that any process may take: marked first, so that nothing is dispatched, claimed or activated
 * any more; deleted when whatever was under way by then has surely ended.
 *
 * Rule 10 of the protocol. A version stays on record, and its name is never used again.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Clock, SearchClient } from '../ports.ts'
import { openSession } from '../store/lock.ts'
import type { Store } from '../store/store.ts'
import { aliasTargets, handOver, withdrawWriteAlias } from './aliases.ts'
import { assertAnswer } from './bulk.ts'
import { forgetGone } from './forget.ts'
import { activeVersion, listDropped, readAlias, readVersion, type Version } from './versions.ts'

/** What dropping needs. */
export interface DropDeps {
  store: Store
  search: SearchClient
  clock: Clock
  prefix: string
  /** Length of a claim, in milliseconds: no request is under way for longer. */
  leaseMs: number
  onLine(line: string): void
  signal?: AbortSignal | undefined
}

/**
 * Marks versions as dropped; an active one only with `force`. Gives the ids of those that were marked by this call. Only
 * the owner of the run lock may call it: nobody activates or fills meanwhile.
 */
export async function markDropped(
  { db, table }: Store,
  ids: readonly string[],
  force: boolean = false,
): Promise<string[]> {
  // In the order of their ids, as a dispatch goes through them. Whoever populates one finds its ranges gone, and ends.
  const rows = await db.query<{ id: string }>(
    `WITH held AS MATERIALIZED (
       SELECT id FROM ${table.index_versions}
       WHERE id = ANY ($1::bigint[]) AND state <> 'dropped' AND (state <> 'active' OR $2) ORDER BY id FOR UPDATE),
     ended AS (
       UPDATE ${table.populate_ranges} r SET done = true, token = NULL FROM held WHERE r.version_id = held.id)
     UPDATE ${table.index_versions} v SET state = 'dropped', dropped_at = clock_timestamp(), removed_at = NULL
     FROM held WHERE v.id = held.id RETURNING v.id`,
    [ids, force],
  )
  return rows.map((each) => each.id)
}

/**
 * Deletes the physical indexes of dropped versions whose time has come, and what is kept for them. Gives those versions;
 * none where another process is at it. Killed anywhere, the next call goes on.
 */
export async function removeDropped(deps: DropDeps): Promise<Version[]> {
  const { store } = deps
  if ((await dueVersions(deps)).length === 0) return []
  const session = await openSession(store)
  try {
    if (!(await session.tryLock('drop'))) return []
    const due = await dueVersions(deps)
    for (const version of due) await removeOne(deps, version)
    return due
  } finally {
    await session.close()
  }
}

/** Dropped versions whose physical index is still to be deleted. */
export async function unremovedVersions({ store, prefix }: Pick<DropDeps, 'store' | 'prefix'>): Promise<Version[]> {
  return (await listDropped(store, prefix)).filter((each) => each.removedAt === null)
}

// Whoever claimed keys or ranges before the mark has ended one lease after it, and so has a request without a claim.
async function dueVersions({ store, prefix, leaseMs }: DropDeps): Promise<Version[]> {
  const { db, table } = store
  const waiting = await unremovedVersions({ store, prefix })
  if (waiting.length === 0) return []
  const due = await db.query<{ id: string }>(
    `SELECT v.id FROM ${table.index_versions} v
     WHERE v.id = ANY ($1::bigint[])
       AND (v.dropped_at IS NULL OR v.dropped_at <= clock_timestamp() - $2 * interval '1 millisecond')
       AND NOT EXISTS (SELECT FROM ${table.pending} p WHERE p.version_id = v.id AND p.token IS NOT NULL
         AND p.due_at > clock_timestamp() AND p.due_at < 'infinity')
       AND NOT EXISTS (SELECT FROM ${table.populate_ranges} r WHERE r.version_id = v.id
         AND r.expires_at > clock_timestamp())`,
    [waiting.map((each) => each.id), leaseMs],
  )
  return waiting.filter((each) => due.some(({ id }) => id === each.id))
}

async function removeOne(deps: DropDeps, version: Version): Promise<void> {
  const { store, search, onLine } = deps
  // From here on no activation that lost its run lock can point an alias at it (see `swapAlias`), so the next look is true.
  await withdrawWriteAlias(search, version)
  await returnAlias(deps, version)
  await deletePhysical(search, version.physical)
  await store.db.query(
    `UPDATE ${store.table.index_versions} SET removed_at = clock_timestamp() WHERE id = $1 AND state = 'dropped'`,
    [version.id],
  )
  await forgetGone(store)
  onLine(`${version.physical}: deleted`)
}

const tries = 3

// Such an activation may have taken the readers of the active version along: they go back before the index goes.
async function returnAlias({ store, search, prefix, onLine }: DropDeps, version: Version): Promise<void> {
  const alias = readAlias(version)
  for (let tried = 1; tried <= tries; tried++) {
    if (!(await aliasTargets(search, alias)).includes(version.physical)) return
    const active = await activeVersion({ store, prefix }, version.index)
    // Its own readers go with it, in the request that deletes it.
    if (!active) return
    if (await handOver(search, alias, version, active)) {
      return onLine(`${active.physical}: the alias ${alias} pointed at ${version.physical}; it points here again`)
    }
  }
  throw new ElasticUmzugError(
    'SEARCH_FAILED',
    `The alias ${alias} points at ${version.physical}, which is dropped, and cannot be moved to the active version.`,
    { next: `npx umzug es:list, then activate a version that is there: npx umzug es:activate ${version.index}@N` },
  )
}

/** Deletes a physical index with its aliases, in one request; one that is gone is deleted. */
export async function deletePhysical(search: SearchClient, physical: string): Promise<void> {
  const { status, body } = await search.request({ method: 'DELETE', path: `/${encodeURIComponent(physical)}` })
  if (status !== 404) assertAnswer(status, body, `to delete ${physical}`)
}

const pollMs = 250

/** Waits until a dropped version is deleted, here or elsewhere. Throws `STOPPED`: then somebody else deletes it later. */
export async function awaitRemoved(deps: DropDeps, { id, physical }: Version): Promise<void> {
  let told = false
  for (;;) {
    await removeDropped(deps)
    if ((await readVersion(deps.store, id)).removedAt !== null) return
    if (!told) deps.onLine(`${physical}: dropped; it is deleted when no request can be under way any more`)
    told = true
    await deps.clock.sleep(Math.min(pollMs, deps.leaseMs), deps.signal)
    if (!deps.signal?.aborted) continue
    throw new ElasticUmzugError('STOPPED', `${physical} is dropped, and its index not deleted yet.`, {
      next: 'nothing: a worker, the next `npx umzug up`, or the same command again deletes it',
    })
  }
}

/**
 * Throws `VERSION_NOT_READY` where a version was dropped meanwhile. What was made of it since then is deleted by whoever
 * finishes the drop.
 */
export async function assertNotDropped({ db, table }: Store, { id, physical, index }: Version): Promise<void> {
  const dropped = await db.query(
    `UPDATE ${table.index_versions} SET removed_at = NULL WHERE id = $1 AND state = 'dropped' RETURNING id`,
    [id],
  )
  if (dropped.length === 0) return
  throw new ElasticUmzugError('VERSION_NOT_READY', `${physical} was dropped while it was filled.`, {
    next: `npx umzug es:update ${index}, which makes another version`,
  })
}
