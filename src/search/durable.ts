/**
 * Loading without a sync to disk for every request, and nothing lost by it.
 *
 * While a version is loaded, what Elasticsearch has acknowledged may be gone after a crash of the node that holds a primary
 * shard. Each time a primary is assigned anew, its term is counted up. So: note the terms before the first page, load, have every
 * request synced again, flush, and look at the terms once more. The same ones: each shard was in one hand from before the first
 * page until everything was on disk. Others: all ranges are loaded again. What workers wrote meanwhile is loaded with
 * them, and what they deleted is on record (`reapply.ts`).
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Clock, SearchClient } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { assertAnswer } from './bulk.ts'
import { resetRanges } from './ranges.ts'
import { loadFast, restoreSettings } from './settings.ts'
import type { Version } from './versions.ts'

/** What noticing a crash needs. */
export interface DurableDeps {
  store: Store
  search: SearchClient
  clock: Clock
  onLine(line: string): void
}

/** Who holds the primaries of an index. */
export interface Primaries {
  /** Identity of the physical index. */
  uuid: string
  /** Shard → how often its primary was assigned. */
  terms: Record<string, number>
}

/** How long the shards of an index may take until they can be written to, in milliseconds. */
const assignMs = 60_000
/** A flush writes what was not written yet, which may be much. */
const flushMs = 600_000

/**
 * Before a load or its continuation: the settings for loading. What an earlier run loaded and a crash may have taken since is to
 * be loaded again. Where this login may not see who holds the primaries, every request is synced as usual.
 */
export async function beginLoad(deps: DurableDeps, version: Version): Promise<void> {
  const { store, search } = deps
  const now = await readPrimaries(deps, version)
  const kept = await keptPrimaries(store, version.id)
  if (kept && !isSame(kept, now)) await loadAgain(deps, version)
  // Kept before anything is written without a sync.
  if (!kept || !isSame(kept, now)) await keep(store, version.id, now)
  await loadFast(search, version, now !== null)
}

/** After a load: the wanted settings, and everything on disk. False where a crash may have taken some of it: then it is to be loaded again. */
export async function endLoad(deps: DurableDeps, version: Version): Promise<boolean> {
  const { store, search } = deps
  await restoreSettings(search, version)
  await flush(search, version)
  const kept = await keptPrimaries(store, version.id)
  const now = await readPrimaries(deps, version)
  if (!kept || isSame(kept, now)) return true
  await loadAgain(deps, version)
  await keep(store, version.id, now)
  return false
}

async function loadAgain({ store, onLine }: DurableDeps, { id, physical }: Version): Promise<void> {
  if (await resetRanges(store, id)) {
    onLine(`${physical}: Elasticsearch was restarted or moved a shard; what it had not synced is loaded again`)
  }
}

function isSame(kept: Primaries, now: Primaries | null): boolean {
  if (!now || kept.uuid !== now.uuid) return false
  const shards = Object.keys(now.terms)
  return shards.length === Object.keys(kept.terms).length &&
    shards.every((each) => kept.terms[each] === now.terms[each])
}

async function keptPrimaries({ db, table }: Store, id: string): Promise<Primaries | null> {
  const [row] = await db.query<{ primaries: Primaries | null }>(
    `SELECT load_primaries AS primaries FROM ${table.index_versions} WHERE id = $1`,
    [id],
  )
  return row?.primaries ?? null
}

async function keep({ db, table }: Store, id: string, primaries: Primaries | null): Promise<void> {
  await db.query(`UPDATE ${table.index_versions} SET load_primaries = $2::jsonb WHERE id = $1`, [
    id,
    primaries && JSON.stringify(primaries),
  ])
}

interface ClusterState {
  metadata?: { indices?: Record<string, { settings?: { index?: { uuid?: string } }; primary_terms?: object }> }
  routing_table?: { indices?: Record<string, { shards?: Record<string, { primary: boolean; state: string }[]> }> }
}

// Both from one state of the cluster: a primary that is not there now is assigned, and counted, later.
async function readPrimaries(deps: DurableDeps, { physical }: Version): Promise<Primaries | null> {
  for (const until = deps.clock.now() + assignMs;;) {
    const { status, body } = await deps.search.request<ClusterState>({
      method: 'GET',
      path: `/_cluster/state/metadata,routing_table/${encodeURIComponent(physical)}`,
      query: {
        filter_path: 'metadata.indices.*.primary_terms,metadata.indices.*.settings.index.uuid,' +
          'routing_table.indices.*.shards.*.primary,routing_table.indices.*.shards.*.state',
      },
    })
    if (status === 401 || status === 403) return null
    assertAnswer(status, body, `to see the shards of ${physical}`)
    const found = primariesIn(body, physical)
    if (found) return found
    if (deps.clock.now() > until) throw unassigned(physical)
    await deps.clock.sleep(200)
  }
}

function primariesIn({ metadata, routing_table }: ClusterState, physical: string): Primaries | undefined {
  const { settings, primary_terms: terms } = metadata?.indices?.[physical] ?? {}
  const uuid = settings?.index?.uuid
  const shards = Object.values(routing_table?.indices?.[physical]?.shards ?? {})
  if (!uuid || !terms || shards.length === 0) return undefined
  const isHeld = shards.every((copies) =>
    copies.some(({ primary, state }) => primary && (state === 'STARTED' || state === 'RELOCATING'))
  )
  return isHeld ? { uuid, terms: terms as Record<string, number> } : undefined
}

function unassigned(physical: string): ElasticUmzugError {
  return new ElasticUmzugError('SEARCH_FAILED', `Shards of ${physical} are not assigned to any node.`, {
    next: `GET /_cluster/allocation/explain of Elasticsearch says why; then the same command again`,
  })
}

async function flush(search: SearchClient, { physical }: Version): Promise<void> {
  const { status, body } = await search.request<{ _shards?: { failed?: number } }>({
    method: 'POST',
    path: `/${encodeURIComponent(physical)}/_flush`,
    query: { wait_if_ongoing: true },
    timeoutMs: flushMs,
  })
  assertAnswer(body._shards?.failed ? 503 : status, body, `to flush ${physical}`)
}
