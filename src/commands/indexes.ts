/**
 * Commands on index versions, each also a method.
 * @module
 */
import {
  activateVersion,
  converge,
  type Converged,
  createVersion,
  definitionOf,
  fillVersion,
  findVersion,
  keepAlias,
  type LifecycleDeps,
  mendActive,
  versionOf,
} from '../search/lifecycle.ts'
import type { Definition } from '../search/definition.ts'
import { checkCluster, countDocuments } from '../search/physical.ts'
import { listVersions, readAlias, type Version, type VersionState } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base, CommandOptions, Run } from './base.ts'
import { lookNow } from './look.ts'
import { queuesOf } from './queue.ts'
import { type Verified, type VerifyOptions, verifyVersions } from './verify.ts'

/** A version with what is known of it in the cluster and in the queue. */
export interface VersionStatus extends Version {
  /** Documents visible now; null when that is not known, because the cluster does not answer or the index is lost. */
  documents: number | null
  /** True when the cluster answers that it has no such physical index. */
  lost: boolean
  /** Keys that still have to be written. */
  backlog: number
  /** Age of the oldest of them in milliseconds. */
  lagMs: number
  /** Documents that ran out of attempts. */
  aborted: number
}

/** Options of the commands that change something. */
export interface ChangeOptions extends CommandOptions {
  /** Only tells, a line each, what would be done. */
  dryRun?: boolean
}

/** Options of commands that may create a version. */
export interface CreateOptions extends ChangeOptions {
  /** Makes another version although there is one of the same definition. */
  force?: boolean
}

/** The commands on index versions. */
export interface IndexCommands {
  /** Every version that is not dropped. */
  list(): Promise<VersionStatus[]>
  /** Creates a version for each named definition (default: all) that has none. */
  create(names?: readonly string[], options?: CreateOptions): Promise<Version[]>
  /** Populates and verifies the newest version of each named definition (default: all); goes on where a killed run stopped. */
  update(names?: readonly string[], options?: ChangeOptions): Promise<Version[]>
  /** Points the alias at `name` (its newest complete version), `name@N` or a physical name. Default: all definitions. */
  activate(targets?: readonly string[], options?: ChangeOptions): Promise<Version[]>
  /**
   * Compares every document of `name` (its active version), `name@N` or a physical name with its row, and repairs what
   * differs if asked. Default: every complete version that this code has the definition of.
   * Throws `VERIFY_FAILED` when differences remain.
   */
  verify(targets?: readonly string[], options?: VerifyOptions): Promise<Verified[]>
}

/** The commands; with `within` they take part in an action that already holds the run lock. */
export function indexCommands(base: Base, within?: Run): IndexCommands {
  const command = async <T>(name: string, options: CommandOptions, work: (deps: LifecycleDeps) => Promise<T>) => {
    const prepared = async (run: Run) => {
      const deps = base.lifecycle(run)
      await checkCluster(deps.search)
      await mendActive(deps)
      return await work(deps)
    }
    if (within) return await prepared(within)
    await checkSchema(base.store)
    return await base.run(name, options, prepared)
  }
  // Silence would look like success.
  const tellNone = ({ onLine }: CommandOptions, { length }: readonly unknown[]) => {
    if (length === 0) onLine?.('the config defines no indexes')
  }
  const tell = async (options: ChangeOptions, plan: () => Promise<string[]>) => {
    await checkSchema(base.store)
    for (const line of await plan()) options.onLine?.(line)
    return []
  }
  return {
    list: () => list(base),
    verify: (targets, options) => verifyVersions(base, targets, options),
    async create(names = [], options = {}) {
      const definitions = named(base, names)
      tellNone(options, definitions)
      if (options.dryRun) return await tell(options, () => planIndexes(base, definitions, ['created'], options.force))
      return await command(
        'es:create',
        options,
        (deps) => eachOf(definitions, (each) => create(deps, each, options.force)),
      )
    },
    async update(names = [], options = {}) {
      const definitions = named(base, names)
      tellNone(options, definitions)
      if (options.dryRun) return await tell(options, () => planIndexes(base, definitions, ['created', 'populated']))
      return await command('es:update', options, (deps) => eachOf(definitions, (each) => update(deps, each)))
    },
    async activate(targets = [], options = {}) {
      const chosen = targets.length > 0 ? targets : base.definitions.map((each) => each.name)
      tellNone(options, chosen)
      if (options.dryRun) return await tell(options, () => planActivate(base, chosen))
      return await command('es:activate', options, async (deps) => {
        await lookNow(base, deps.onLine, deps.signal)
        return await eachOf(chosen, (each) => activate(deps, each))
      })
    },
  }
}

/** Every definition: create, populate, verify, activate where that is not done yet. Part of `up`. */
export async function convergeIndexes(base: Base, run: Run, activating: boolean): Promise<Converged[]> {
  await lookNow(base, run.say, run.signal)
  return await converge(base.lifecycle(run), activating)
}

/** A step on the way to an active version. */
export type Step = 'created' | 'populated' | 'activated'

/** What would be done for each definition, up to the given steps, a line each; `anew` as if there were no version. */
export async function planIndexes(
  base: Base,
  definitions: readonly Definition[],
  steps: readonly Step[],
  anew: boolean = false,
): Promise<string[]> {
  return await eachOf(definitions, async (definition) => {
    const version = anew ? undefined : await versionOf(base, definition)
    const done = doneSteps(version?.state)
    const open = steps.filter((each) => !done.includes(each))
    const name = version?.physical ?? `a new version of ${base.prefix}${definition.name}`
    return open.length === 0 ? `${name}: ${version!.state}, nothing to do` : `${name}: would be ${open.join(', ')}`
  })
}

function doneSteps(state: VersionState | undefined): Step[] {
  if (state === undefined) return []
  if (state === 'created' || state === 'populating') return ['created']
  return state === 'active' ? ['created', 'populated', 'activated'] : ['created', 'populated']
}

async function planActivate(base: Base, targets: readonly string[]): Promise<string[]> {
  return await eachOf(targets, async (target) => {
    const version = await findVersion(base, target)
    return version.state === 'active'
      ? `${version.physical}: active, nothing to do`
      : `${version.physical}: ${version.state}, the alias ${readAlias(version)} would point at it`
  })
}

async function create(deps: LifecycleDeps, definition: Definition, force: boolean | undefined): Promise<Version> {
  const existing = force ? undefined : await versionOf(deps, definition)
  if (existing) deps.onLine(`${existing.physical}: ${existing.state}, the definition did not change`)
  return await createVersion(deps, definition, force)
}

async function update(deps: LifecycleDeps, definition: Definition): Promise<Version> {
  const version = await createVersion(deps, definition)
  const isDone = version.state !== 'created' && version.state !== 'populating'
  if (isDone) deps.onLine(`${version.physical}: ${version.state}, nothing to do`)
  return await fillVersion(deps, version, definition)
}

async function activate(deps: LifecycleDeps, target: string): Promise<Version> {
  const version = await findVersion(deps, target)
  if (version.state !== 'active') await activateVersion(deps, version)
  else if (!(await keepAlias(deps, version))) deps.onLine(`${version.physical}: already active`)
  return version
}

// One after another: they share the connections and the cluster with the application.
async function eachOf<In, Out>(all: readonly In[], work: (each: In) => Promise<Out>): Promise<Out[]> {
  const results: Out[] = []
  for (const each of all) results.push(await work(each))
  return results
}

function named({ definitions }: Base, names: readonly string[]): readonly Definition[] {
  return names.length === 0 ? definitions : names.map((each) => definitionOf({ definitions }, each))
}

async function list(base: Base): Promise<VersionStatus[]> {
  await checkSchema(base.store)
  const versions = await listVersions(base.store, base.prefix)
  const queues = await queuesOf(base.store, versions)
  return await Promise.all(versions.map(async (version, at) => {
    const { backlog, lagMs, aborted } = queues[at]!
    return { ...version, ...await documentsOf(base, version), backlog, lagMs, aborted }
  }))
}

// A cluster that is away hides nothing that the own tables know.
async function documentsOf(
  { search }: Base,
  { physical }: Version,
): Promise<{ documents: number | null; lost: boolean }> {
  const documents = search ? await countDocuments(search, physical).catch(() => null) : null
  return { documents: documents ?? null, lost: documents === undefined }
}
