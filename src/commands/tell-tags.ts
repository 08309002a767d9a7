/**
 * Tells which of the versions that a worker serves were made by another build.
 * @module
 */
import { servedVersions } from '../queue/worker.ts'
import type { Base } from './base.ts'

/** Tells of each served version, once; what cannot be looked at now is not worth failing for. */
export async function tellServedTags(base: Base, say: (line: string) => void = () => {}): Promise<void> {
  try {
    for (const { version } of await servedVersions(base.workerOptions())) await base.tellTag(version, say)
  } catch (error) {
    base.emitter.emit('queue:worker:error', { error })
  }
}
