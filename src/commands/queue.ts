/**
 * Commands on the queue, each also a method.
 * @module
 */
import { backlogs } from '../queue/pending.ts'
import { startWorker } from '../queue/worker.ts'
import { listVersions } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base } from './base.ts'

/** The queue of one version. */
export interface QueueStatus {
  /** Name, without prefix. */
  index: string
  /** Number of the version. */
  version: number
  /** State of the version. */
  state: string
  /** Keys that still have to be written. */
  backlog: number
  /** Age of the oldest of them in milliseconds. */
  lagMs: number
  /** Documents that ran out of attempts. */
  aborted: number
}

/** The commands on the queue. */
export interface QueueCommands {
  /** Backlog, lag and aborted of every version. */
  status(): Promise<QueueStatus[]>
  /** Works until the signal, then ends after the batches under way; calls `onStart` once it works. */
  work(signal: AbortSignal, onStart?: () => void): Promise<void>
}

/** Makes the commands. */
export function queueCommands(base: Base): QueueCommands {
  return {
    async status() {
      await checkSchema(base.store)
      const versions = await listVersions(base.store, base.prefix)
      const queues = await backlogs(base.store, versions.map((each) => each.id))
      return versions.map(({ id, index, number, state }) => {
        const { backlog = 0, lagMs = 0, aborted = 0 } = queues.find((each) => each.versionId === id) ?? {}
        return { index, version: number, state, backlog, lagMs, aborted }
      })
    },
    async work(signal, onStart) {
      await checkSchema(base.store)
      const worker = startWorker(base.workerOptions())
      onStart?.()
      await aborted(signal)
      await worker.stop()
    },
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
