/**
 * What checking a version stands on.
 * @module
 */
import { markNow } from '../queue/changes.ts'
import { drain } from '../queue/drain.ts'
import { enqueue } from '../queue/pending.ts'
import type { CheckDeps } from '../search/repair.ts'
import type { Base, Run } from './base.ts'

/** What checking a version takes of the queue and of the run; `work` false leaves the writing to others. */
export function checkDeps(base: Base, { signal, say }: Run, work: boolean): CheckDeps {
  const options = base.workerOptions()
  return {
    ...options,
    signal,
    onLine: say,
    drain: ({ id }) => drain(options, { versionIds: [id], work, signal }),
    // The mark comes first: whoever drains from now on waits for these keys.
    enqueue: async (versionId, keys) =>
      await enqueue(base.store, versionId, keys, { origin: await markNow(base.store), madeAt: 'now' }),
  }
}
