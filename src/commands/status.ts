/**
 * `status`: one look at everything, which tells whether all is well.
 * @module
 */
import { messageOf } from '../errors.ts'
import { type Unserved, unservedVersions } from '../queue/unserved.ts'
import { aliasTargets } from '../search/aliases.ts'
import { reasonOf } from '../search/bulk.ts'
import { countDocuments } from '../search/physical.ts'
import { listSuspicions, type Suspicion } from '../search/suspicions.ts'
import { isMadeFrom, listVersions, readAlias, type Version } from '../search/versions.ts'
import { changedTables } from '../store/dispatch.ts'
import { type OpenAction, openActions } from '../store/runs.ts'
import { installedStep, newestStep } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import type { Base } from './base.ts'
import { type CaptureStatus, captureStatus } from './captured.ts'
import type { VersionStatus } from './list.ts'
import { type Problem, problemsOf } from './problems.ts'
import { queuesOf } from './queue.ts'
import { migrationRunner } from './up.ts'

/** The own tables. */
export interface TablesStatus {
  /** Host and database. */
  database: string
  /** Schema that holds them. */
  schema: string
  /** `older` and `newer` than this release. */
  state: 'missing' | 'older' | 'current' | 'newer'
}

/** What the cluster says of itself. */
export interface ClusterStatus {
  /** Its address. */
  cluster: string
  /** `unreachable` when it does not answer, `unknown` when it does not tell. */
  health: 'green' | 'yellow' | 'red' | 'unknown' | 'unreachable'
  /** Why its health is not known. */
  reason: string | null
}

/** A version as `status` sees it. */
export interface ServedVersion extends Omit<VersionStatus, 'definition' | 'sizeBytes'> {
  /** True when the config of this code has its definition. */
  known: boolean
}

/** The alias of an index. */
export interface AliasStatus {
  /** Name of the index, without prefix. */
  index: string
  /** Physical indexes that the alias points at; null when that is not known. */
  targets: string[] | null
}

/** Changes that were committed and no dispatch took yet. */
export interface WaitingChanges {
  /** How many; counted up to 10,000. */
  changes: number
  /** Age of the oldest in milliseconds; 0 when there is none. */
  oldestMs: number
}

/** Everything that `umzug status` shows. */
export interface Status {
  /** What is wrong, the gravest first; empty when all is well. */
  problems: Problem[]
  /** Whether the own tables are there. */
  tables: TablesStatus
  /** How the cluster is. Null when the config has no cluster. */
  cluster: ClusterStatus | null
  /** Actions that have not ended. */
  runs: OpenAction[]
  /** Names of the migrations that are not applied. */
  pendingMigrations: string[]
  /** Definitions of this code without a version made from them that is active. */
  unbuilt: string[]
  /** Every version that is not dropped. */
  versions: ServedVersion[]
  /** Where readers are sent, for each index that has a version. */
  aliases: AliasStatus[]
  /** What nobody took yet. */
  changes: WaitingChanges
  /** How changes are captured. */
  capture: CaptureStatus
  /** Versions that no running worker has the definition of. */
  unserved: Unserved[]
  /** What was seen that may have made rows and documents differ: a restore, a failover. */
  suspicions: Suspicion[]
}

/** Options of `status`. */
export interface StatusOptions {
  /** Longest time in milliseconds that a change may wait before it counts as a problem. Default 60,000. */
  maxLagMs?: number
}

const defaultMaxLagMs = 60_000
const clusterTimeoutMs = 5_000

/**
 * Looks at everything and changes nothing. A cluster that does not answer and own tables that are not there are a part of
 * what is shown; only a database that does not answer throws.
 */
export async function status(base: Base, { maxLagMs = defaultMaxLagMs }: StatusOptions = {}): Promise<Status> {
  const tables = await tablesOf(base.store)
  const cluster = await clusterOf(base)
  const pendingMigrations = (await migrationRunner(base).pending()).map((each) => each.name)
  const own = tables.state === 'current' ? await ownPart(base, cluster) : nothing(base)
  const seen = { tables, cluster, pendingMigrations, ...own }
  return { problems: problemsOf(seen, maxLagMs), ...seen }
}

type OwnPart = Omit<Status, 'problems' | 'tables' | 'cluster' | 'pendingMigrations'>

function nothing({ definitions, config }: Base): OwnPart {
  const unbuilt = definitions.map((each) => each.name)
  const none = { runs: [], versions: [], aliases: [], unserved: [], suspicions: [] }
  const capture: CaptureStatus = { tables: [], onBypass: config.onBypass ?? 'capture' }
  return { ...none, capture, unbuilt, changes: { changes: 0, oldestMs: 0 } }
}

async function ownPart(base: Base, cluster: ClusterStatus | null): Promise<OwnPart> {
  const { store, prefix, definitions } = base
  const versions = await listVersions(store, prefix)
  const unbuilt = definitions.filter((each) =>
    !versions.some((version) => version.state === 'active' && isMadeFrom(version, each))
  )
  // A cluster that is away would let every question wait for its time limit.
  const asked = cluster?.health === 'unreachable' ? { ...base, search: undefined } : base
  return {
    runs: await openActions(store),
    unbuilt: unbuilt.map((each) => each.name),
    versions: await versionsOf(asked, versions),
    aliases: await aliasesOf(asked, versions),
    changes: await waitingChanges(store),
    capture: await captureStatus(base),
    unserved: (await unservedVersions(store)).filter((each) => each.prefix === prefix),
    suspicions: (await listSuspicions(store)).filter((each) => each.prefix === prefix),
  }
}

async function tablesOf(store: Store): Promise<TablesStatus> {
  const step = await installedStep(store)
  const older = step < newestStep ? 'older' : 'current'
  const state = step === 0 ? 'missing' : step > newestStep ? 'newer' : older
  return { database: store.db.label, schema: store.schema, state }
}

async function clusterOf({ search }: Base): Promise<ClusterStatus | null> {
  if (!search) return null
  const cluster = search.label
  try {
    const { status, body } = await search.request<{ status?: 'green' | 'yellow' | 'red' }>({
      method: 'GET',
      path: '/_cluster/health',
      timeoutMs: clusterTimeoutMs,
    })
    if (status === 200 && body.status) return { cluster, health: body.status, reason: null }
    // Whoever may read and write documents may still be forbidden to ask how the cluster is.
    const health = status >= 500 || status === 401 ? 'unreachable' : 'unknown'
    return { cluster, health, reason: `it answers with ${status} ${reasonOf(body)}`.trim() }
  } catch (error) {
    return { cluster, health: 'unreachable', reason: messageOf(error) }
  }
}

async function versionsOf(
  { store, search, definitions }: Base,
  versions: readonly Version[],
): Promise<ServedVersion[]> {
  const queues = await queuesOf(store, versions)
  return await Promise.all(versions.map(async ({ definition: _, ...version }, at) => {
    const { backlog, lagMs, aborted } = queues[at]!
    const documents = search ? await countDocuments(search, version.physical).catch(() => null) : null
    const known = definitions.some((each) => isMadeFrom(version, each))
    const found = { documents: documents ?? null, lost: documents === undefined }
    return { ...version, ...found, backlog, lagMs, aborted, known }
  }))
}

async function aliasesOf({ search }: Base, versions: readonly Version[]): Promise<AliasStatus[]> {
  const byName = new Map(versions.map((each) => [each.index, each]))
  return await Promise.all([...byName].map(async ([index, version]) => ({
    index,
    targets: search ? await aliasTargets(search, readAlias(version)).catch(() => null) : null,
  })))
}

// There may be millions: that there are many is all that anybody needs to know, and of each table the first is the oldest.
// Sweeps wait for those who serve their version, and are told of with it. What goes on in pages was taken already, however
// long ago it was made.
async function waitingChanges(store: Store): Promise<WaitingChanges> {
  const { changes } = store.table
  const [row] = await store.db.query<WaitingChanges>(
    `WITH RECURSIVE ${changedTables(store)}, firsts AS (
       SELECT (SELECT c.made_at FROM ${changes} c WHERE c.table_name = t.name AND NOT c.sweep AND c.cursor IS NULL
         ORDER BY c.table_name, c.id LIMIT 1) AS made_at FROM tables t
     )
     SELECT (SELECT count(*) FROM (SELECT FROM ${changes} WHERE NOT sweep AND cursor IS NULL LIMIT 10000) c)::int AS changes,
       coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(made_at)) * 1000), 0)::float8 AS "oldestMs" FROM firsts`,
  )
  return row!
}
