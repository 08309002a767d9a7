/**
 * The life of a version: create, populate, verify, activate.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { activateVersion, keepAlias, mendActive } from './activate.ts'
import { createVersion, versionOf } from './create.ts'
import type { Definition } from './definition.ts'
import { refreshDependencies } from './dependencies.ts'
import { removeDropped } from './drop.ts'
import { catchUp, fillVersion } from './fill.ts'
import { forgetGone } from './forget.ts'
import type { LoadOptions } from './load.ts'
import { assertPhysical, checkCluster } from './physical.ts'
import type { Dependency } from '../ports.ts'
import type { PopulateDeps } from './populate.ts'
import { endLoading } from './settings.ts'
import { dropSuperfluous } from './superfluous.ts'
import { unknownVersion } from './targets.ts'
import { isComplete, listVersions, retryAborted, type Version } from './versions.ts'

export { activateVersion, createVersion, fillVersion, keepAlias, mendActive, versionOf }

/** What the life of a version needs. */
export interface LifecycleDeps extends PopulateDeps {
  prefix: string
  tag: string | null
  definitions: readonly Definition[]
  /** See `WriterDeps.alone`. */
  alone?: boolean | undefined
  /** Attempts at one document before it is aborted. */
  maxAttempts: number
  /** Retired versions of each index that stay after an activation; undefined keeps all. */
  keepRetired?: number | undefined
  /** Ranges populated at once. */
  workers: number
  /** Fills a version, where that is recorded. */
  fill?: (version: Version, definition: Definition) => Promise<Version>
  /**
   * Whether a version is filled by a copy inside the cluster: true where that is possible, or an error; false never. Default: where
   * the active one surely holds the same documents.
   */
  copy?: boolean | undefined
  /** True fills a version although the cluster may lack the room for it. */
  force?: boolean | undefined
  /** Limits of a populate in this process. */
  load?: LoadOptions | undefined
  /**
   * Waits until the version holds everything committed before the call (or before the mark); processes here where this
   * code has the definition. Gives what is left when `timeoutMs` is up.
   */
  drain(version: Version, options?: { timeoutMs?: number; mark?: string }): Promise<Left>
  /** Waits until everything committed before the call is handed to the versions there are. */
  dispatched(): Promise<unknown>
  /** A mark behind every change committed until now. */
  mark(): Promise<string>
  /** Called before a version depends on these: has triggers record what they need. */
  prepareCapture(dependencies: readonly Dependency[]): Promise<void>
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

/** What converging did for one index. */
export interface Converged {
  /** Name, without prefix. */
  index: string
  /** Number of the version. */
  version: number
  /** What was done. */
  outcome: 'unchanged' | 'activated' | 'ready'
}

/** For each definition without an active version made from it: create, populate, verify, activate. */
export async function converge(deps: LifecycleDeps, activate: boolean): Promise<Converged[]> {
  await checkCluster(deps.search)
  await forgetGone(deps.store)
  await removeDropped(deps)
  await mendActive(deps)
  const results: Converged[] = []
  for (const definition of deps.definitions) results.push(await convergeOne(deps, definition, activate))
  if (activate) await dropSuperfluous(deps)
  return results
}

async function convergeOne(deps: LifecycleDeps, definition: Definition, activate: boolean): Promise<Converged> {
  const current = await versionOf(deps, definition)
  if (current?.state === 'active') {
    await keepActive(deps, current, definition)
    return { index: definition.name, version: current.number, outcome: 'unchanged' }
  }
  const created = await createVersion(deps, definition)
  const filled = await (deps.fill?.(created, definition) ?? fillVersion(deps, created, definition))
  if (!activate) return { index: definition.name, version: filled.number, outcome: 'ready' }
  await activateVersion(deps, filled)
  return { index: definition.name, version: filled.number, outcome: 'activated' }
}

// Also an active version may need care: somebody took its alias away, or a migration changed what it reads.
async function keepActive(deps: LifecycleDeps, version: Version, definition: Definition): Promise<void> {
  const { search } = deps
  await assertPhysical(search, version)
  if (await endLoading(search, version)) deps.onLine(`${version.physical}: settings for loading were left, restored`)
  const isMended = await keepAlias(deps, version)
  const isRefreshed = await refreshDependencies(deps, version, definition)
  if (isRefreshed) deps.onLine(`${version.physical}: what it reads has changed, every document is brought up to date`)
  const isRetried = await retryAborted(deps.store, version.id, deps.maxAttempts) > 0
  if (isRetried) deps.onLine(`${version.physical}: aborted documents are tried once more`)
  if (isRefreshed || isRetried) await catchUp(deps, version)
  if (!isMended && !isRefreshed && !isRetried) deps.onLine(`${version.physical}: active, nothing to do`)
}

/** Finds a version by `name` (its newest that is complete), `name@N`, or physical name. Throws `VERSION_UNKNOWN`. */
export async function findVersion(deps: Pick<LifecycleDeps, 'store' | 'prefix'>, target: string): Promise<Version> {
  const versions = await listVersions(deps.store, deps.prefix)
  const [name] = target.split('@')
  const named = versions.filter((each) => each.index === name)
  const found = target !== name
    ? named.find((each) => `${each.index}@${each.number}` === target)
    : versions.find((each) => each.physical === target) ??
      named.filter(isComplete).at(-1) ?? named.at(-1)
  if (found) return found
  throw unknownVersion(versions, target)
}
