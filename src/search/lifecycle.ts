/**
 * The life of a version: create, populate, verify, activate.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { checkCluster, createPhysical, physicalExists, refresh, restoreSettings, swapAlias } from './physical.ts'
import { aliasTargets } from './physical.ts'
import type { Definition } from './definition.ts'
import { snapshotOf } from './definition.ts'
import { populate, type PopulateDeps } from './populate.ts'
import { clearPopulate } from './ranges.ts'
import { reapplyDeletes } from './reapply.ts'
import { verifyCounts } from './verify.ts'
import {
  listVersions,
  moveVersion,
  readAlias,
  readVersion,
  recordActive,
  registerVersion,
  unregisterVersion,
  type Version,
} from './versions.ts'

/** What the life of a version needs. */
export interface LifecycleDeps extends PopulateDeps {
  prefix: string
  tag: string | null
  definitions: readonly Definition[]
  /** Ranges populated at once. */
  workers: number
  /**
   * Waits until the version holds everything committed before the call (or before the mark); processes here where this
   * code has the definition. Gives what is left when `timeoutMs` is up.
   */
  drain(version: Version, options?: { timeoutMs?: number; mark?: string }): Promise<Left>
  /** A mark behind every change committed until now. */
  mark(): Promise<string>
  onLine(line: string): void
  assertHeld(): void
  signal?: AbortSignal | undefined
}

/** What is not processed yet. */
export interface Left {
  changes: number
  pending: number
  aborted: number
}

/** Finds the definition of a name, or throws `DEFINITION_UNKNOWN` with the names there are. */
export function definitionOf(deps: Pick<LifecycleDeps, 'definitions'>, name: string): Definition {
  const found = deps.definitions.find((each) => each.name === name)
  if (found) return found
  const names = deps.definitions.map((each) => each.name).join(', ') || 'none'
  throw new ElasticUmzugError('DEFINITION_UNKNOWN', `No index "${name}" is defined; defined are: ${names}.`, {
    next: 'correct the name, or add the definition to `indexes` in the config file',
  })
}

/** The newest version made from a definition, if there is one. */
export async function versionOf(
  deps: Pick<LifecycleDeps, 'store' | 'prefix'>,
  definition: Definition,
): Promise<Version | undefined> {
  const versions = await listVersions(deps.store, deps.prefix)
  return versions.filter((each) => each.index === definition.name && each.hash === definition.hash).at(-1)
}

/**
 * Creates a version of the definition, unless there is one. A refused mapping leaves nothing registered; a crash in
 * between leaves a version without physical index, which the next call makes.
 */
export async function createVersion(
  deps: LifecycleDeps,
  definition: Definition,
  force: boolean = false,
): Promise<Version> {
  const existing = force ? undefined : await versionOf(deps, definition)
  if (existing) {
    if (existing.state === 'created') await createPhysical(deps.search, existing)
    return existing
  }
  const dependencies = await definition.source.dependencies(deps.store.db)
  const version = await registerVersion(deps.store, {
    prefix: deps.prefix,
    name: definition.name,
    hash: definition.hash,
    definition: snapshotOf(definition),
    dependencies,
    tag: deps.tag,
  })
  try {
    await createPhysical(deps.search, version)
  } catch (error) {
    // Only a refusal is certain: without an answer the index may exist, and the next run goes on with this version.
    if (error instanceof ElasticUmzugError && error.code !== 'NO_ANSWER') {
      await unregisterVersion(deps.store, version.id)
    }
    throw error
  }
  deps.onLine(`${version.physical}: created`)
  return version
}

/** Populates and verifies a version until it is ready; goes on where an interrupted run stopped. */
export async function fillVersion(deps: LifecycleDeps, start: Version, definition: Definition): Promise<Version> {
  const { store, search } = deps
  let version = start
  if (version.state !== 'created' && version.state !== 'populating') return version
  await assertPhysical(deps, version)
  await moveVersion(store, version.id, ['created'], 'populating')
  const expected = await definition.source.count(store.db)
  await store.db.query(`UPDATE ${store.table.index_versions} SET rows_expected = $2 WHERE id = $1`, [
    version.id,
    expected,
  ])
  deps.onLine(`${version.physical}: populating ${expected} rows`)
  await populate(deps, {
    version,
    source: definition.source,
    workers: deps.workers,
    expected,
    signal: deps.signal,
    assertHeld: deps.assertHeld,
  })
  await deps.drain(version)
  await reapplyDeletes(deps, version, definition.source)
  await restoreSettings(search, version)
  const counts = await verifyCounts(
    { store, search, clock: deps.clock, mark: deps.mark, drain: () => deps.drain(version) },
    version,
    definition.source,
  )
  deps.assertHeld()
  await moveVersion(store, version.id, ['populating'], 'ready')
  await clearPopulate(store, version.id)
  deps.onLine(`${version.physical}: ready, ${counts.documents} documents for ${counts.rows} rows`)
  version = await readVersion(store, version.id)
  deps.emitter.emit('version:state:changed', { index: version.index, version: version.number, state: version.state })
  return version
}

async function assertPhysical(deps: LifecycleDeps, version: Version): Promise<void> {
  if (await physicalExists(deps.search, version)) return
  if (version.state === 'created') return await createPhysical(deps.search, version)
  throw new ElasticUmzugError('VERSION_NOT_READY', `The physical index ${version.physical} is gone from the cluster.`, {
    next: `npx umzug es:create ${version.index} --force`,
  })
}

/** How long an activation waits for a version that other processes keep up to date. */
const catchUpMs = 30_000

/**
 * Points the alias at a version that is complete and holds all that was committed before the check began. The alias is
 * the truth: after a crash between its request and the rows, the next command mends the rows.
 */
export async function activateVersion(deps: LifecycleDeps, version: Version): Promise<void> {
  if (version.state === 'created' || version.state === 'populating') {
    throw new ElasticUmzugError('VERSION_NOT_READY', `${version.physical} is ${version.state}, not ready.`, {
      next: `npx umzug es:update ${version.index}@${version.number}`,
    })
  }
  if (!(await physicalExists(deps.search, version))) {
    throw new ElasticUmzugError(
      'VERSION_NOT_READY',
      `The physical index ${version.physical} is gone from the cluster.`,
      {
        next: `npx umzug es:create ${version.index} --force`,
      },
    )
  }
  assertReadable(version)
  const mark = await deps.mark()
  const left = await deps.drain(version, { mark, timeoutMs: catchUpMs })
  if (left.changes + left.pending > 0) {
    throw new ElasticUmzugError(
      'VERSION_BEHIND',
      `${version.physical} has ${left.pending} pending keys and ${left.changes} changes from before the activation began.`,
      { next: 'start a worker that has its definition (`npx umzug queue:work` with that code), then activate again' },
    )
  }
  if (left.aborted > 0) {
    throw new ElasticUmzugError('VERSION_BEHIND', `${version.physical} has ${left.aborted} aborted documents.`, {
      next: 'npx umzug queue:status',
    })
  }
  await refresh(deps.search, version.physical)
  deps.assertHeld()
  await swapAlias(deps.search, version)
  await recordActive(deps.store, version)
  deps.emitter.emit('version:state:changed', { index: version.index, version: version.number, state: 'active' })
  deps.onLine(`${version.physical}: active, the alias ${readAlias(version)} points at it`)
}

function assertReadable(version: Version): void {
  if (!version.dependencyError) return
  throw new ElasticUmzugError(
    'VERSION_BEHIND',
    `${version.physical} cannot be kept up to date any more: ${version.dependencyError}`,
    { next: `npx umzug es:create ${version.index} --force` },
  )
}

/** Makes the rows say what the alias says, for every index: a crash may have come between the two. */
export async function mendActive(deps: LifecycleDeps): Promise<void> {
  const versions = await listVersions(deps.store, deps.prefix)
  for (const name of new Set(versions.map((each) => each.index))) {
    const [target, ...others] = await aliasTargets(deps.search, `${deps.prefix}${name}`)
    const pointed = versions.find((each) => each.index === name && each.physical === target)
    if (!pointed || others.length > 0 || pointed.state === 'active') continue
    await recordActive(deps.store, pointed)
    deps.onLine(`${pointed.physical}: recorded as active, as the alias says`)
  }
}

/** What converging did for one index. */
export interface Converged {
  index: string
  version: number
  outcome: 'unchanged' | 'activated' | 'ready'
}

/** For each definition without an active version made from it: create, populate, verify, activate. */
export async function converge(deps: LifecycleDeps, activate: boolean): Promise<Converged[]> {
  await checkCluster(deps.search)
  await mendActive(deps)
  const results: Converged[] = []
  for (const definition of deps.definitions) results.push(await convergeOne(deps, definition, activate))
  return results
}

async function convergeOne(deps: LifecycleDeps, definition: Definition, activate: boolean): Promise<Converged> {
  const current = await versionOf(deps, definition)
  if (current?.state === 'active') {
    deps.onLine(`${current.physical}: active, nothing to do`)
    return { index: definition.name, version: current.number, outcome: 'unchanged' }
  }
  const created = await createVersion(deps, definition)
  const filled = await fillVersion(deps, created, definition)
  if (!activate) return { index: definition.name, version: filled.number, outcome: 'ready' }
  await activateVersion(deps, filled)
  return { index: definition.name, version: filled.number, outcome: 'activated' }
}

/** Finds a version by `name` (its newest that is complete), `name@N`, or physical name. Throws `VERSION_UNKNOWN`. */
export async function findVersion(deps: Pick<LifecycleDeps, 'store' | 'prefix'>, target: string): Promise<Version> {
  const versions = await listVersions(deps.store, deps.prefix)
  const [name, number] = target.split('@')
  const named = versions.filter((each) => each.index === name)
  const found = number !== undefined
    ? named.find((each) => String(each.number) === number)
    : versions.find((each) => each.physical === target) ??
      named.filter((each) => ['ready', 'active', 'retired'].includes(each.state)).at(-1) ?? named.at(-1)
  if (found) return found
  const known = versions.map((each) => `${each.index}@${each.number}`).join(', ') || 'none'
  throw new ElasticUmzugError('VERSION_UNKNOWN', `There is no version "${target}"; there are: ${known}.`, {
    next: 'npx umzug es:list',
  })
}
