/**
 * A command on its way, as its work sees it.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { About, Action } from '../store/actions.ts'

/** A command on its way: one recorded action. */
export interface Run {
  readonly action: Action
  readonly signal: AbortSignal | undefined
  /** Build id of this code. */
  readonly tag: string | null
  /** Tells a line: to the caller and to the record. */
  say(line: string): void
  /** Does a part of it as an action of its own: its lines are told here as well, its counts are added to those here. */
  part<T>(about: About, work: (part: Run) => Promise<T>): Promise<T>
}

/** Where lines go, and what stops it. */
export interface RunningOptions {
  tell(line: string): void
  signal: AbortSignal | undefined
  tag: string | null
}

/** Does the work of an action. The record has every line when this ends. */
export async function running<T>(
  action: Action,
  { tell, signal, tag }: RunningOptions,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  let logged: Promise<unknown> = Promise.resolve()
  const say = (line: string) => {
    tell(line)
    // One after another, so that the record has the lines in order; a line that cannot be kept stops nothing.
    logged = logged.then(() => action.log(line)).catch(() => {})
  }
  try {
    return await work({
      action: stoppable(action, signal),
      signal,
      tag,
      say,
      part: (about, work) => action.part(about, (part) => running(part, { tell: say, signal, tag }, work)),
    })
  } finally {
    await logged
  }
}

// Asked before every step, so a signal stops a run between two steps and never inside one.
function stoppable(action: Action, signal: AbortSignal | undefined): Action {
  return {
    ...action,
    assertHeld() {
      action.assertHeld()
      if (signal?.aborted) {
        throw new ElasticUmzugError('STOPPED', 'Stopped by a signal before the next step.', {
          next: 'run the same command again; it goes on from there',
        })
      }
    },
  }
}
