/**
 * What every command stands on: one database, one cluster, one config.
 * @module
 */
import { assertConfig, type DatabaseConfig, type ModeOf } from '../config.ts'
import { ElasticUmzugError } from '../errors.ts'
import { createEmitter, type Emitter } from '../events.ts'
import type { Db, Runtime, SearchClient } from '../ports.ts'
import { markNow } from '../queue/changes.ts'
import { drain } from '../queue/drain.ts'
import { servedVersions, type WorkerOptions } from '../queue/worker.ts'
import { assertDistinct, type Definition } from '../search/definition.ts'
import type { LifecycleDeps } from '../search/lifecycle.ts'
import type { Version } from '../search/versions.ts'
import { prepareTriggers } from './capture.ts'
import { isOff, keepQuiet } from './off.ts'
import { createTagTeller, tagOnce } from './tag.ts'
import { type Run, running } from './run.ts'
import { type About, type Action, type Origin, withAction } from '../store/actions.ts'
import { openStore, type Store } from '../store/store.ts'

/** What the plugin is made of. */
export interface PluginParts {
  config: DatabaseConfig
  /** Folder that globs of the config are relative to. */
  folder: string
  db: Db
  search: SearchClient | undefined
  runtime: Runtime
  /** How commands are run that do not say it; see `CommandOptions.wait`. */
  wait?: boolean
  /** True or false is the off switch, whatever the environment says. */
  off?: boolean
  /** See `WriterDeps.alone`. */
  alone?: boolean
  /** Tells how the config has tables captured. Throws `CONFIG_INVALID` for names that it does not know. */
  modes(definitions: readonly Definition[]): ModeOf
  /** Installs the capture of changes; gives the function that takes it back. */
  capture(definitions: readonly Definition[], schema: string, wake: () => void): () => void
}

/** Options of every command. */
export interface CommandOptions {
  /** Gets each line of what happens. */
  onLine?: (line: string) => void
  /** Stops the command at its next checkpoint. */
  signal?: AbortSignal | undefined
  /** False fails with `RUN_LOCK_HELD` where another run holds the run lock. Default: waits, and tells who holds it. */
  wait?: boolean
}

/** How a command is recorded. */
export interface RunOptions extends CommandOptions {
  /** False lets it run beside others: it takes no run lock. */
  exclusive?: boolean
  /** What it is about. */
  target?: string | null
  /** Options of the command that are recorded. */
  options?: About['options']
  /** Action of another process that this one is a part of. */
  parentId?: string | undefined
  /** Called again and again while the run lock is waited for: may help whoever holds it. */
  whileWaiting?: (run: Run) => Promise<void>
}

export type { Run }

/** What commands use. */
export interface Base {
  readonly config: DatabaseConfig
  readonly folder: string
  readonly definitions: readonly Definition[]
  readonly prefix: string
  readonly db: Db
  readonly store: Store
  readonly emitter: Emitter
  readonly runtime: Runtime
  readonly wait?: boolean
  readonly alone?: boolean
  readonly search: SearchClient | undefined
  readonly modes: PluginParts['modes']
  readonly capture: PluginParts['capture']
  /** True where `ELASTIC_UMZUG=off`: nothing is recorded by hooks, and the search indexes are left alone. */
  readonly off: boolean
  /** Build id of this code, as a command that is recorded found it; null where there is none. */
  tag(): Promise<string | null>
  /** Tells once of each version that another build made it. */
  tellTag(version: Version, say: (line: string) => void): Promise<void>
  /** The search client, or `CONFIG_INVALID`. */
  needSearch(): SearchClient
  workerOptions(): WorkerOptions
  lifecycle(run: Run): LifecycleDeps
  /** Runs the work as one recorded action, under the run lock unless told otherwise. */
  run<T>(name: string, options: RunOptions, work: (run: Run) => Promise<T>): Promise<T>
}

/** Checks the config and puts the parts together; connects to nothing yet. */
export function createBase(parts: PluginParts): Base {
  const { config, db, search } = parts
  assertConfig(config)
  const definitions = config.indexes ?? []
  assertDistinct(definitions)
  const off = parts.off ?? isOff(parts.runtime)
  if (parts.off) keepQuiet(parts.runtime)
  const emitter = createEmitter()
  const tag = tagOnce(parts)
  const tagTold = createTagTeller(emitter)
  const base: Base = {
    ...parts,
    ...(off && { capture: () => () => {} }),
    off,
    definitions,
    prefix: config.prefix ?? '',
    store: openStore(db, config.schema ?? 'elastic_umzug'),
    emitter,
    tag,
    async tellTag(version, say) {
      const line = tagTold(version, await tag())
      if (line) say(line)
    },
    needSearch() {
      if (search) return search
      throw new ElasticUmzugError('CONFIG_INVALID', 'The config has no `elasticsearch`.', {
        next: 'add elasticsearch: new Client({ node }) to the config file',
      })
    },
    workerOptions: () => workerOptions(base),
    lifecycle: (run) => lifecycle(base, run),
    run: (name, options, work) => recorded(base, name, options, work),
  }
  return base
}

function workerOptions({ config, definitions, prefix, store, emitter, runtime, needSearch }: Base): WorkerOptions {
  return {
    store,
    search: needSearch(),
    clock: runtime.clock,
    emitter,
    prefix,
    definitions,
    leaseMs: config.leaseMs ?? 30_000,
    pollMs: config.pollMs ?? 250,
    listen: config.listen ?? false,
    abandonMs: config.abandonMs ?? 7 * 24 * 3_600_000,
    batchSize: config.batchSize ?? 500,
    concurrency: config.concurrency ?? 2,
    maxAttempts: config.maxAttempts ?? 10,
  }
}

function lifecycle(base: Base, run: Run): LifecycleDeps {
  const { action, signal, say, tag } = run
  const options = base.workerOptions()
  return {
    ...options,
    tag,
    keepRetired: base.config.keepRetired ?? 1,
    alone: base.alone,
    workers: options.concurrency,
    signal,
    onLine: say,
    assertHeld: () => action.assertHeld(),
    prepareCapture: (dependencies) => prepareTriggers(base, run, dependencies),
    dispatched: () => drain(options, { versionIds: [], work: false, signal }),
    mark: () => markNow(base.store),
    async drain(version, limits = {}) {
      const served = (await servedVersions(options)).some((each) => each.version.id === version.id)
      return await drain(options, { versionIds: [version.id], work: served, signal, ...limits })
    },
  }
}

async function recorded<T>(base: Base, name: string, given: RunOptions, work: (run: Run) => Promise<T>): Promise<T> {
  const { onLine: tell = () => {}, signal, exclusive = true, target = null, wait = base.wait, whileWaiting } = given
  const about: About = { action: name, target, options: given.options }
  const tag = await base.tag()
  const options = {
    ...about,
    origin: originOf(base, tag),
    parentId: given.parentId,
    clock: base.runtime.clock,
    exclusive,
    wait,
    onLine: tell,
    signal,
    whileWaiting: whileWaiting && ((action: Action) => running(action, { tell, signal, tag }, whileWaiting)),
  }
  return await withAction(base.store, options, (action) => running(action, { tell, signal, tag }, work))
}

function originOf({ runtime }: Base, tag: string | null): Origin {
  return {
    commandLine: runtime.argv.join(' '),
    user: runtime.user(),
    host: runtime.hostname(),
    pid: runtime.pid,
    tag: tag ?? undefined,
  }
}
