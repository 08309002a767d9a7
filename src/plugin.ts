/**
 * The parts put together for one database and one cluster.
 * @module
 */
import { assertConfig, type Config } from './config.ts'
import { ElasticUmzugError } from './errors.ts'
import { createEmitter, type Emitter } from './events.ts'
import type { Db, Runtime, SearchClient } from './ports.ts'
import { markNow, unprocessed } from './queue/changes.ts'
import { drain } from './queue/drain.ts'
import { backlogs } from './queue/pending.ts'
import { startWorker, type Worker, type WorkerOptions, servedVersions } from './queue/worker.ts'
import { assertDistinct, type Definition } from './search/definition.ts'
import {
  activateVersion,
  converge,
  type Converged,
  createVersion,
  definitionOf,
  fillVersion,
  findVersion,
  type LifecycleDeps,
  mendActive,
} from './search/lifecycle.ts'
import { checkCluster, countDocuments, refresh } from './search/physical.ts'
import { listVersions, type Version } from './search/versions.ts'
import { type Action, type ActionRow, listActions, type Origin, withAction } from './store/actions.ts'
import { applySchema, checkSchema } from './store/schema.ts'
import { openStore, type Store } from './store/store.ts'

/** What the plugin is made of. */
export interface PluginParts {
  config: Config
  db: Db
  search: SearchClient | undefined
  runtime: Runtime
  /** Installs the capture of changes; gives the function that takes it back. */
  capture(definitions: readonly Definition[], schema: string, wake: () => void): () => void
}

/** A version as `es:list` shows it. */
export interface VersionStatus extends Version {
  documents: number | null
  backlog: number
  lagMs: number
  aborted: number
}

/** The queue of one version. */
export interface QueueStatus {
  index: string
  version: number
  state: string
  backlog: number
  lagMs: number
  aborted: number
}

/** Options of commands. */
export interface CommandOptions {
  onLine?: (line: string) => void
  signal?: AbortSignal | undefined
}

/** Options of `up`'s search part. */
export interface ConvergeOptions extends CommandOptions {
  activate?: boolean
}

/** What runs in an application and behind every command. */
export interface Plugin {
  readonly store: Store
  readonly emitter: Emitter
  /** The alias that readers use. Throws `DEFINITION_UNKNOWN`. */
  alias(name: string): string
  /** Installs the capture of changes and starts the worker of this process. Elasticsearch may be away. */
  start(): Promise<void>
  /** Stops the worker after the batches under way, and takes the capture back. */
  stop(): Promise<void>
  /** Waits until everything committed before the call is searchable in every version that this code serves. */
  settled(): Promise<void>
  /** Runs the work as one recorded action. */
  action<T>(name: string, options: ActionRun, work: (action: Action) => Promise<T>): Promise<T>
  /** Own tables: created and upgraded. */
  prepare(): Promise<void>
  readonly versions: {
    list(): Promise<VersionStatus[]>
    create(names?: readonly string[], options?: CommandOptions & { force?: boolean }): Promise<Version[]>
    update(targets?: readonly string[], options?: CommandOptions): Promise<Version[]>
    activate(targets?: readonly string[], options?: CommandOptions): Promise<Version[]>
    converge(action: Action, options?: ConvergeOptions): Promise<Converged[]>
  }
  readonly queue: {
    status(): Promise<QueueStatus[]>
    /** Works until the signal. */
    work(signal: AbortSignal): Promise<void>
  }
  /** Recorded actions, newest first. */
  log(limit?: number): Promise<ActionRow[]>
}

/** How an action is run. */
export interface ActionRun extends CommandOptions {
  exclusive: boolean
  target?: string | null
}

/** Puts the parts together; connects to nothing yet. */
export function createPlugin(parts: PluginParts): Plugin {
  const { config, db, search, runtime } = parts
  assertConfig(config)
  const definitions = config.indexes ?? []
  assertDistinct(definitions)
  const store = openStore(db, config.schema ?? 'elastic_umzug')
  const emitter = createEmitter()
  const prefix = config.prefix ?? ''
  let worker: Worker | undefined
  let uninstall: (() => void) | undefined

  const needSearch = (): SearchClient => {
    if (search) return search
    throw new ElasticUmzugError('CONFIG_INVALID', 'The config has no `elasticsearch`.', {
      next: 'add elasticsearch: new Client({ node }) to the config file',
    })
  }
  const workerOptions = (): WorkerOptions => ({
    store,
    search: needSearch(),
    clock: runtime.clock,
    emitter,
    prefix,
    definitions,
    leaseMs: config.leaseMs ?? 30_000,
    pollMs: config.pollMs ?? 250,
    batchSize: config.batchSize ?? 500,
    concurrency: config.concurrency ?? 2,
    maxAttempts: config.maxAttempts ?? 10,
  })
  const lifecycle = (action: Action, { onLine, signal }: CommandOptions): LifecycleDeps => {
    const options = workerOptions()
    return {
      ...options,
      tag: config.tag ?? null,
      workers: options.concurrency,
      signal,
      onLine(line) {
        void action.log(line).catch(() => {})
        onLine?.(line)
      },
      assertHeld: () => action.assertHeld(),
      mark: () => markNow(store),
      async drain(version, limits = {}) {
        const served = (await servedVersions(options)).some((each) => each.version.id === version.id)
        return await drain(options, { versionIds: [version.id], work: served, signal, ...limits })
      },
    }
  }
  const origin = (): Origin => ({
    commandLine: runtime.argv.join(' '),
    user: runtime.user(),
    host: runtime.hostname(),
    pid: runtime.pid,
    tag: config.tag,
  })
  const action = <T>(name: string, run: ActionRun, work: (action: Action) => Promise<T>) =>
    withAction(store, { action: name, origin: origin(), clock: runtime.clock, ...run }, work)

  const command = async <T>(name: string, options: CommandOptions, work: (deps: LifecycleDeps) => Promise<T>) => {
    await checkSchema(store)
    return await action(name, { ...options, exclusive: true }, async (record) => {
      const deps = lifecycle(record, options)
      await checkCluster(deps.search)
      await mendActive(deps)
      return await work(deps)
    })
  }
  const named = (deps: LifecycleDeps, names: readonly string[]) =>
    names.length === 0 ? [...definitions] : names.map((each) => definitionOf(deps, each.split('@')[0]!))
  const documentsOf = async (version: Version) =>
    search ? await countDocuments(search, version.physical).catch(() => undefined) ?? null : null

  return {
    store,
    emitter,
    alias: (name) => `${prefix}${definitionOf({ definitions }, name).name}`,
    action,
    async prepare() {
      await assertServer(db)
      await applySchema(store)
    },
    async start() {
      if (uninstall) return
      await checkSchema(store)
      uninstall = parts.capture(definitions, store.schema, () => worker?.wake())
      if (search && definitions.length > 0) worker = startWorker(workerOptions())
    },
    async stop() {
      await worker?.stop()
      worker = undefined
      uninstall?.()
      uninstall = undefined
    },
    async settled() {
      const options = workerOptions()
      const mark = await markNow(store)
      const served = await servedVersions(options)
      const versionIds = served.map((each) => each.version.id)
      if (versionIds.length === 0) return
      worker?.wake()
      if (worker) {
        for (;;) {
          const left = await unprocessed(store, versionIds, mark)
          if (left.changes + left.pending === 0) break
          await runtime.clock.sleep(10)
        }
      } else await drain(options, { versionIds, work: true, mark })
      for (const { version } of served) await refresh(options.search, version.physical)
    },
    versions: {
      async list() {
        await checkSchema(store)
        const versions = await listVersions(store, prefix)
        const queues = new Map((await backlogs(store, versions.map((each) => each.id))).map((each) => [each.versionId, each]))
        return await Promise.all(versions.map(async (version) => {
          const { backlog = 0, lagMs = 0, aborted = 0 } = queues.get(version.id) ?? {}
          return { ...version, documents: await documentsOf(version), backlog, lagMs, aborted }
        }))
      },
      create: (names = [], options = {}) =>
        command('es:create', options, async (deps) => {
          const created: Version[] = []
          for (const each of named(deps, names)) created.push(await createVersion(deps, each, options.force))
          return created
        }),
      update: (targets = [], options = {}) =>
        command('es:update', options, async (deps) => {
          const filled: Version[] = []
          for (const definition of named(deps, targets)) {
            const version = await createVersion(deps, definition)
            filled.push(await fillVersion(deps, version, definition))
          }
          return filled
        }),
      activate: (targets = [], options = {}) =>
        command('es:activate', options, async (deps) => {
          const activated: Version[] = []
          for (const target of targets.length > 0 ? targets : definitions.map((each) => each.name)) {
            const version = await findVersion(deps, target)
            if (version.state !== 'active') await activateVersion(deps, version)
            activated.push(version)
          }
          return activated
        }),
      converge: (record, options = {}) => converge(lifecycle(record, options), options.activate ?? true),
    },
    queue: {
      async status() {
        await checkSchema(store)
        const versions = await listVersions(store, prefix)
        const queues = new Map((await backlogs(store, versions.map((each) => each.id))).map((each) => [each.versionId, each]))
        return versions.map((version) => {
          const { backlog = 0, lagMs = 0, aborted = 0 } = queues.get(version.id) ?? {}
          return { index: version.index, version: version.number, state: version.state, backlog, lagMs, aborted }
        })
      },
      async work(signal) {
        await checkSchema(store)
        const running = startWorker(workerOptions())
        await new Promise<void>((resolve) => signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve()))
        await running.stop()
      },
    },
    async log(limit) {
      await checkSchema(store)
      return await listActions(store, limit)
    },
  }
}

async function assertServer(db: Db): Promise<void> {
  const [row] = await db.query<{ version: number }>(`SELECT current_setting('server_version_num')::int AS version`)
  if (row!.version >= 130_000) return
  throw new ElasticUmzugError('DATABASE_VERSION', `PostgreSQL at ${db.label} is version ${row!.version}.`, {
    next: 'use PostgreSQL 13 or newer',
  })
}
