/**
 * Beside a worker: deletes the indexes of versions that were dropped before.
 * @module
 */
import { type DropDeps, removeDropped } from '../search/drop.ts'
import type { Base } from './base.ts'

/** What dropping versions of a prefix needs. */
export function dropDeps(
  base: Base,
  prefix: string,
  onLine: (line: string) => void,
  signal?: AbortSignal,
): DropDeps {
  const { store, search, clock, leaseMs } = base.workerOptions()
  return { store, search, clock, leaseMs, prefix, onLine, signal }
}

/** Deletes what is due, and emits `version:index:deleted` for each. The command that dropped them is on record. */
export async function finishDrops(base: Base): Promise<void> {
  for (const { index, number: version } of await removeDropped(dropDeps(base, base.prefix, () => {}))) {
    base.emitter.emit('version:index:deleted', { index, version })
  }
}
