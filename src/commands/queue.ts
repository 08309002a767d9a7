/**
 * Commands on the queue, each also a method.
 * @module
 */
import { type Backlog, backlogs } from '../queue/pending.ts'
import { startWorker } from '../queue/worker.ts'
import { abortedKeys, listVersions, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
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
  /** The first of those, with the reason. */
  abortedKeys: { key: string; reason: string }[]
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
      const queues = await queuesOf(base.store, versions)
      return await Promise.all(versions.map(async ({ id, index, number, state }, at) => {
        const { backlog, lagMs, aborted } = queues[at]!
        const keys = aborted > 0 ? await abortedKeys(base.store, id) : []
        return { index, version: number, state, backlog, lagMs, aborted, abortedKeys: keys }
      }))
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
