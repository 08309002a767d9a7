/**
 * The parts put together for one database and one cluster.
 * @module
 */
import { type CommandOptions, createBase, type PluginParts } from './commands/base.ts'
import { type IndexCommands, indexCommands } from './commands/indexes.ts'
import { tellOff } from './commands/off.ts'
import { readLog, readOne } from './commands/log.ts'
import { type Plan, planAll } from './commands/plan.ts'
import { type QueueCommands, queueCommands } from './commands/queue.ts'
import { settled } from './commands/settled.ts'
import { type Status, status, type StatusOptions } from './commands/status.ts'
import {
  down,
  type MigrateDownOptions,
  migrationRunner,
  planDown,
  planUp,
  up,
  type UpOptions,
  type UpResult,
} from './commands/up.ts'
import { tellServedTags } from './commands/tell-tags.ts'
import { type Watch, watchSearch } from './commands/watch.ts'
import type { Events, Listener } from './events.ts'
import type { Runner } from './migrations/runner.ts'
import { createNotifier } from './queue/listen.ts'
import { startWorker, type Worker } from './queue/worker.ts'
import { definitionOf } from './search/lifecycle.ts'
import { definitionAlias, readAlias } from './search/versions.ts'
import type { ActionRow, ActionTree, LogFilter } from './store/action-log.ts'
import { checkSchema } from './store/schema.ts'

/** What runs in an application and behind every command. */
export interface ElasticUmzug {
  /** The plugin of each database of the config, by its name; of the only one, `default`. */
  readonly databases: Readonly<Record<string, ElasticUmzug>>
  /** A real Umzug over the SQL migrations: `umzug.runAsCLI()` goes on working. Its `up` and `down` take the run lock. */
  readonly umzug: Runner
  /** Commands on index versions. */
  readonly versions: IndexCommands
  /** Commands on the queue. */
  readonly queue: QueueCommands
  /** The stable name that readers use. Throws `DEFINITION_UNKNOWN`. */
  alias(name: string): string
  /** The name of the version that was built for exactly this code's definition. Throws `DEFINITION_UNKNOWN`. */
  definitionAlias(name: string): string
  /** Calls the listener at every event of the name; gives the function that takes it back. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Name>): () => void
  /**
   * Installs the capture of changes and starts the worker of this process. Elasticsearch may be away: changes wait.
   * Throws `SCHEMA_MISSING` before the first `umzug up`. With `ELASTIC_UMZUG=off` it does nothing but say so.
   */
  start(): Promise<void>
  /**
   * Stops the worker after the batches under way. What is not written stays queued, and writes go on being recorded for
   * as long as the process lives: requests may still be under way.
   */
  stop(): Promise<void>
  /**
   * Waits until everything committed before the call is searchable in every version that this code serves, but for
   * documents that were refused for good. Throws `VERSION_BEHIND` after `timeoutMs`; without it, waits on.
   */
  settled(options?: { timeoutMs?: number }): Promise<void>
  /** What `umzug up` does. */
  up(options?: UpOptions): Promise<UpResult>
  /** What `umzug up` would do, a line each. */
  planUp(options?: UpOptions): Promise<string[]>
  /** Everything that `umzug up` would do, with what it costs and what is in its way. */
  plan(): Promise<Plan>
  /** What `umzug down` does; gives the names of the reverted migrations. */
  down(migrate?: MigrateDownOptions, options?: CommandOptions): Promise<string[]>
  /** What `umzug down` would do, a line each. */
  planDown(migrate?: MigrateDownOptions): Promise<string[]>
  /** Looks at everything and tells what is wrong; changes nothing, and does not need the cluster. */
  status(options?: StatusOptions): Promise<Status>
  /** Recorded actions, newest first: how many (default 50), or which. */
  log(options?: number | LogFilter): Promise<ActionRow[]>
  /** One of them with its parts. Throws `ACTION_UNKNOWN`. */
  logOf(id: string): Promise<ActionTree>
}

/** Puts the parts together; connects to nothing yet. Throws what a wrong config does. */
export function createPlugin(parts: PluginParts): ElasticUmzug {
  const base = createBase(parts)
  const { store, definitions, prefix, emitter, runtime } = base
  let worker: Worker | undefined
  let watch: Watch | undefined
  let starting: Promise<void> | undefined
  let isRecording = false
  let umzug: Runner | undefined

  const notify = base.config.listen ? createNotifier(store) : undefined
  const captured = () => {
    worker?.wake()
    notify?.()
  }

  const start = async () => {
    if (base.off) return tellOff(runtime)
    await checkSchema(store)
    // Without a cluster nobody would ever take what is recorded.
    if (!base.search || definitions.length === 0) return
    if (!isRecording) base.capture(definitions, store.schema, captured)
    isRecording = true
    worker = startWorker(base.workerOptions())
    watch = watchSearch(base)
    watch.start()
    await tellServedTags(base)
  }

  const plugin: ElasticUmzug = {
    get databases() {
      return { default: plugin }
    },
    get umzug() {
      return umzug ??= migrationRunner(base, { onLine: (line) => runtime.writeError(`${line}\n`) })
    },
    versions: indexCommands(base),
    queue: queueCommands(base),
    alias: (name) => readAlias({ prefix, index: definitionOf({ definitions }, name).name }),
    definitionAlias(name) {
      const { hash } = definitionOf({ definitions }, name)
      return definitionAlias({ prefix, index: name, hash })
    },
    on: emitter.on,
    start: () =>
      starting ??= start().catch((error) => {
        starting = undefined
        throw error
      }),
    async stop() {
      await starting
      await Promise.all([worker?.stop(), watch?.stop()])
      worker = undefined
      watch = undefined
      starting = undefined
    },
    settled: ({ timeoutMs } = {}) => settled(base, () => worker, timeoutMs),
    up: (options) => up(base, options),
    planUp: (options) => planUp(base, options),
    plan: () => planAll(base),
    down: (migrate = {}, options) => down(base, migrate, options),
    planDown: (migrate = {}) => planDown(base, migrate),
    status: (options) => status(base, options),
    log: (options) => readLog(base, options),
    logOf: (id) => readOne(base, id),
  }
  return plugin
}
