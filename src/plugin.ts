/**
 * The parts put together for one database and one cluster.
 * @module
 */
import { createBase, type PluginParts } from './commands/base.ts'
import { type IndexCommands, indexCommands } from './commands/indexes.ts'
import { type QueueCommands, queueCommands } from './commands/queue.ts'
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
import type { CommandOptions } from './commands/base.ts'
import type { Events, Listener } from './events.ts'
import type { Runner } from './migrations/runner.ts'
import { markNow, unprocessed } from './queue/changes.ts'
import { drain } from './queue/drain.ts'
import { servedVersions, startWorker, type Worker } from './queue/worker.ts'
import { definitionOf } from './search/lifecycle.ts'
import { refresh } from './search/physical.ts'
import { definitionAlias } from './search/versions.ts'
import { type ActionRow, listActions } from './store/actions.ts'
import { checkSchema } from './store/schema.ts'

/** What runs in an application and behind every command. */
export interface ElasticUmzug {
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
   * Throws `SCHEMA_MISSING` before the first `umzug up`.
   */
  start(): Promise<void>
  /** Stops the worker after the batches under way, and takes the capture back. What is not written stays queued. */
  stop(): Promise<void>
  /** Waits until everything committed before the call is searchable in every version that this code serves. */
  settled(): Promise<void>
  /** What `umzug up` does. */
  up(options?: UpOptions): Promise<UpResult>
  /** What `umzug up` would do, a line each. */
  planUp(options?: UpOptions): Promise<string[]>
  /** What `umzug down` does; gives the names of the reverted migrations. */
  down(migrate?: MigrateDownOptions, options?: CommandOptions): Promise<string[]>
  /** What `umzug down` would do, a line each. */
  planDown(migrate?: MigrateDownOptions): Promise<string[]>
  /** Recorded actions, newest first. Default limit 50. */
  log(limit?: number): Promise<ActionRow[]>
}

const settledPollMs = 10

/** Puts the parts together; connects to nothing yet. Throws what a wrong config does. */
export function createPlugin(parts: PluginParts): ElasticUmzug {
  const base = createBase(parts)
  const { store, definitions, prefix, emitter, runtime } = base
  let worker: Worker | undefined
  let uninstall: (() => void) | undefined
  let umzug: Runner | undefined

  return {
    get umzug() {
      return umzug ??= migrationRunner(base, { onLine: (line) => runtime.writeError(`${line}\n`) })
    },
    versions: indexCommands(base),
    queue: queueCommands(base),
    alias: (name) => `${prefix}${definitionOf({ definitions }, name).name}`,
    definitionAlias(name) {
      const { hash } = definitionOf({ definitions }, name)
      return definitionAlias({ prefix, index: name, hash })
    },
    on: emitter.on,
    async start() {
      if (uninstall) return
      await checkSchema(store)
      uninstall = base.capture(definitions, store.schema, () => worker?.wake())
      if (base.search && definitions.length > 0) worker = startWorker(base.workerOptions())
    },
    async stop() {
      await worker?.stop()
      worker = undefined
      uninstall?.()
      uninstall = undefined
    },
    async settled() {
      const options = base.workerOptions()
      const mark = await markNow(store)
      const served = await servedVersions(options)
      const versionIds = served.map((each) => each.version.id)
      if (worker) {
        worker.wake()
        for (;;) {
          const left = await unprocessed(store, versionIds, mark)
          if (left.changes + left.pending === 0) break
          await runtime.clock.sleep(settledPollMs)
        }
      } else await drain(options, { versionIds, work: true, mark })
      for (const { version } of served) await refresh(options.search, version.physical)
    },
    up: (options) => up(base, options),
    planUp: (options) => planUp(base, options),
    down: (migrate = {}, options) => down(base, migrate, options),
    planDown: (migrate = {}) => planDown(base, migrate),
    async log(limit) {
      await checkSchema(store)
      return await listActions(store, limit)
    },
  }
}
