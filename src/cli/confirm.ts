/**
 * What takes something away is confirmed first.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Given } from './actions.ts'
import type { Session } from './session.ts'

/** The flags of commands that take something away. */
export const confirmFlags: Readonly<Record<string, string>> = {
  '--yes': 'Does it without asking.',
  '--dry-run': 'Prints the list of what would be done, and changes nothing.',
  '--json': 'Prints JSON of what was done, and lines on standard error.',
}

/**
 * Asks in a terminal whether to do what was printed. Throws `STOPPED` for any answer but yes; elsewhere `COMMAND_INVALID` with
 * the command that does it.
 */
export async function confirm({ runtime, signal }: Session, { flag }: Given, question: string): Promise<void> {
  if (flag('--yes')) return
  const answer = await runtime.ask(`${question} [y/N] `, signal)
  if (answer === undefined && !signal.aborted) {
    throw new ElasticUmzugError('COMMAND_INVALID', `${question} Nobody can be asked: this is no terminal.`, {
      next: `npx umzug ${runtime.argv.join(' ')} --yes`,
    })
  }
  if (/^y(es)?$/i.test(answer?.trim() ?? '')) return
  throw new ElasticUmzugError('STOPPED', 'Not confirmed: nothing was changed.', { next: 'the same command again' })
}

/** Where the lines of such a command go: with `--json`, standard output is for the JSON alone. */
export function teller({ runtime, print }: Session, { flag }: Given): (line: string) => void {
  return flag('--json') ? (line) => runtime.writeError(`${line}\n`) : print
}
