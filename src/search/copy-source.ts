/**
 * Which version another one may be copied from, instead of reading every row.
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { ElasticUmzugError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { canonicalJson, type Definition } from './definition.ts'
import type { LifecycleDeps } from './lifecycle.ts'
import { physicalExists, refresh } from './physical.ts'
import { storesAsSent } from './settings.ts'
import { copyPlan } from './slices.ts'
import { suspicionOf } from './suspicions.ts'
import { activeVersion, isMadeFrom, type Version } from './versions.ts'

/** How long is waited for others to bring the version up to date that is copied, in milliseconds. */
const drainMs = 30_000

/** Keeps how the documents of a version are made, as far as that can be told: a hash. */
export async function recordMaking({ db, table }: Store, id: string, { source }: Definition): Promise<void> {
  const making = await source.making?.(db)
  if (making === undefined) return
  await db.query(`UPDATE ${table.index_versions} SET making = $2 WHERE id = $1`, [id, hashOf(making)])
}

function hashOf(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)))
}

/**
 * The version that this one is copied from: that of a copy under way, or the active one where it holds the same documents. Undefined
 * where rows have to be read; with `copy: true` that throws `VERSION_NOT_READY` with the reason.
 */
export async function copySource(
  deps: LifecycleDeps,
  version: Version,
  definition: Definition,
): Promise<Version | undefined> {
  if (deps.copy === false) return undefined
  const active = await activeVersion(deps, version.index)
  const plan = await copyPlan(deps.store, version.id)
  if (plan) return active?.id === plan.from ? active : undefined
  const reason = active ? await whyNot(deps, active, version, definition) : 'no version of it is active'
  if (reason === undefined) return active
  if (!deps.copy) return undefined
  throw new ElasticUmzugError('VERSION_NOT_READY', `${version.physical} cannot be filled by a copy: ${reason}.`, {
    next: `npx umzug es:update ${version.index}: it reads the rows instead`,
  })
}

async function whyNot(
  deps: LifecycleDeps,
  active: Version,
  version: Version,
  definition: Definition,
): Promise<string | undefined> {
  const { store, search } = deps
  const [from, into] = [active.definition, version.definition]
  if (canonicalJson(from.revision) !== canonicalJson(into.revision)) return `${active.physical} has another revision`
  if (from.ids !== into.ids) return `${active.physical} has other ids`
  if (!storesAsSent(from)) return `${active.physical} does not keep its documents as they were sent`
  if (active.awaitsWriters || active.dependencyError) return `${active.physical} is not kept up to date`
  const suspicion = await suspicionOf(store, active.physical)
  if (suspicion) return `${active.physical} may differ from its rows: ${suspicion.message}`
  return await whyOther(deps, active, version, definition) ??
    (await physicalExists(search, active)
      ? await whyBehind(deps, active)
      : `${active.physical} is gone from the cluster`)
}

interface Made {
  making: string | null
  dependencies: unknown
  filled: boolean
}

// What is not known is taken for the same only where somebody says so: then at least the same columns are read.
async function whyOther(
  { store: { db, table }, copy }: LifecycleDeps,
  active: Version,
  version: Version,
  { source }: Definition,
): Promise<string | undefined> {
  const read = async ({ id }: Version) =>
    (await db.query<Made>(
      `SELECT making, dependencies, EXISTS (
         SELECT FROM ${table.populate_ranges} r WHERE r.version_id = v.id) AS filled
       FROM ${table.index_versions} v WHERE id = $1`,
      [id],
    ))[0]!
  const [from, into] = [await read(active), await read(version)]
  if (into.filled) return 'its rows are being read already'
  const now = await source.making?.(db)
  const differs = now !== undefined && from.making !== null && hashOf(now) !== from.making
  if (differs || canonicalJson(from.dependencies) !== canonicalJson(into.dependencies)) {
    return `its documents are made in another way than those of ${active.physical}`
  }
  if (copy || now !== undefined && from.making !== null) return undefined
  return 'it cannot be told how its documents are made'
}

/**
 * Rule 28 of the protocol. What is dispatched to the copied version alone must be in it before it is read. Every such change was
 * committed before the new version was registered, so it is below the mark of this drain; and until a dispatch that does not see the
 * new version commits, its changes are seen here as not dispatched yet.
 */
async function whyBehind(deps: LifecycleDeps, active: Version): Promise<string | undefined> {
  const isKnown = deps.definitions.some((each) => isMadeFrom(active, each))
  const left = await deps.drain(active, isKnown ? {} : { timeoutMs: drainMs })
  if (left.changes + left.pending > 0) return `${active.physical} has changes that no worker writes`
  if (left.aborted > 0) return `${active.physical} has ${left.aborted} aborted documents`
  await refresh(deps.search, active.physical)
  return undefined
}
