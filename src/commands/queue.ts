/**
 * Commands on the queue, each also a method.
 * @module
 */
import { listAborted } from '../queue/aborted.ts'
import { type Backlog, backlogs } from '../queue/pending.ts'
import { startWorker } from '../queue/worker.ts'
import type { Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import {
  type AbortedCount,
  type AbortedOptions,
  clearAborted,
  type ClearOptions,
  filterOf,
  type QueueSelection,
  retryAborted,
  selectVersions,
} from './aborted.ts'
import type { Base } from './base.ts'
import { commandsOff } from './off.ts'
import { tellServedTags } from './tell-tags.ts'
import { watchSearch } from './watch.ts'

/** The queue of one version. */
export interface QueueStatus {
  /** Name, without prefix. */
  index: string
  /** Number of the version. */
  version: number
  /** State of the version. */
  state: string
  /** Keys that still have to be written, counted up to 1,000,000. */
  backlog: number
  /** Age of the oldest of them in milliseconds. */
  lagMs: number
  /** Documents that ran out of attempts, counted up to 1,000,000. */
  aborted: number
  /** The first of those, with the reason and the ISO time. */
  abortedKeys: { key: string; reason: string; abortedAt: string }[]
}

/** Options of `status`. */
export interface QueueStatusOptions extends QueueSelection {
  /** True lists up to 1,000 aborted documents of each version, and only versions that have some. Default: the first 3. */
  aborted?: boolean
}

/** The commands on the queue. */
export interface QueueCommands {
  /** Backlog, lag and aborted of every version, or of the selected ones. Throws `VERSION_UNKNOWN`. */
  status(options?: QueueStatusOptions): Promise<QueueStatus[]>
  /** Works until the signal, then ends after the batches under way; calls `onStart` once it works. */
  work(signal: AbortSignal, onStart?: () => void): Promise<void>
  /**
   * Makes aborted documents due again, with all their attempts. Throws `VERSION_UNKNOWN`, or `ABORTED_UNKNOWN` for a key
   * or a reason that no aborted document has; then nothing was changed.
   */
  retry(options?: AbortedOptions): Promise<AbortedCount[]>
  /**
   * Forgets aborted documents: they stay in the index as they are until their rows change again. Throws `COMMAND_INVALID`
   * when neither versions nor keys nor `all` are given, and as `retry` does; then nothing was changed.
   */
  clear(options: ClearOptions): Promise<AbortedCount[]>
}

/** Makes the commands. */
export function queueCommands(base: Base): QueueCommands {
  const commands: QueueCommands = {
    status: (options = {}) => queueStatus(base, options),
    retry: (options = {}) => retryAborted(base, options),
    clear: (options) => clearAborted(base, options),
    async work(signal, onStart) {
      await checkSchema(base.store)
      const worker = startWorker(base.workerOptions())
      const watch = watchSearch(base)
      watch.start()
      await tellServedTags(base, (line) => base.runtime.writeError(`${line}\n`))
      onStart?.()
      await aborted(signal)
      await Promise.all([worker.stop(), watch.stop()])
    },
  }
  return base.off ? commandsOff(base.runtime, commands, ['status']) : commands
}

const listed = { first: 3, all: 1_000 }

async function queueStatus(base: Base, options: QueueStatusOptions): Promise<QueueStatus[]> {
  const { store } = base
  await checkSchema(store)
  const versions = await selectVersions(base, options)
  const queues = await queuesOf(store, versions)
  const limit = options.aborted ? listed.all : listed.first
  const all = await Promise.all(versions.map(async (version, at) => {
    const { backlog, lagMs, aborted } = queues[at]!
    const found = aborted > 0 ? await listAborted(store, filterOf([version], options), limit) : []
    const abortedKeys = found.map(({ key, reason, abortedAt }) => ({ key, reason, abortedAt }))
    const { index, number, state } = version
    return { index, version: number, state, backlog, lagMs, aborted, abortedKeys }
  }))
  return options.aborted ? all.filter((each) => each.abortedKeys.length > 0) : all
}

/** Backlog, lag and aborted of versions, in their order. */
export async function queuesOf(store: Store, versions: readonly Version[]): Promise<Backlog[]> {
  const found = await backlogs(store, versions.map((each) => each.id))
  return versions.map(({ id }) =>
    found.find((each) => each.versionId === id) ?? { versionId: id, backlog: 0, lagMs: 0, aborted: 0 }
  )
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
