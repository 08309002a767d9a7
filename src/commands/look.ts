/**
 * Looking at the markers, and telling what they make suspect.
 * @module
 */
import { messageOf } from '../errors.ts'
import { type Look, lookAtMarks } from '../search/marker.ts'
import type { Base } from './base.ts'

/**
 * Looks at the markers, unless that was done less than `dueMs` milliseconds ago or another process is at it; then it gives
 * undefined. Emits what it found.
 */
export async function look(
  base: Base,
  dueMs: number,
  onLine: (line: string) => void = () => {},
): Promise<Look | undefined> {
  const { store, prefix, emitter } = base
  const found = await lookAtMarks({ store, search: base.needSearch(), prefix }, dueMs)
  for (const { kind, message } of found?.seen ?? []) {
    emitter.emit('search:suspicion:noted', { kind, message })
    onLine(`suspected: ${message}; npx umzug es:verify --repair makes rows and documents equal`)
  }
  if (found?.restarted) emitter.emit('search:nodes:changed', {})
  return found
}

const pollMs = 50

/**
 * Looks at the markers now, after whoever is at it. A command does not fail for what it cannot look at: every worker
 * looks too.
 */
export async function lookNow(
  base: Base,
  onLine: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    while (!(await look(base, 0, onLine)) && !signal?.aborted) await base.runtime.clock.sleep(pollMs, signal)
  } catch (error) {
    onLine(`it could not be looked for a restore: ${messageOf(error)}`)
  }
}
