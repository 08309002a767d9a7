/**
 * `es:clear`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import { counted } from '../commands/words.ts'
import { defineAction, targetFlags, targetsOf } from './actions.ts'
import { confirm, confirmFlags, teller } from './confirm.ts'
import { shown } from './drop.ts'
import { prefixGiven, prefixText } from './list.ts'
import type { Session } from './session.ts'

/** The command that clears versions. */
export function clearAction(session: Session): CommandLineAction {
  return defineAction({
    name: 'es:clear',
    summary: 'Deletes all documents of index versions and keeps their indexes',
    documentation:
      'Deletes all documents of index versions and keeps their indexes. Rows that are written meanwhile keep ' +
      'theirs. A version that is not active is to be filled again before it can be activated.',
    names: 'name@N, physical names, or an index: its active version, which needs --force.',
    flags: { ...targetFlags, '--force': 'Takes the active version too.', ...confirmFlags },
    texts: prefixText,
    async run(given) {
      const { versions } = await session.open()
      const { force, prefix, onLine, signal } = {
        force: given.flag('--force'),
        prefix: prefixGiven(given),
        onLine: teller(session, given),
        signal: session.signal,
      }
      const options = { ...targetsOf(given), force, prefix, onLine, signal }
      let done = await versions.clear(given.names, { ...options, dryRun: true })
      if (!given.flag('--dry-run') && done.length > 0) {
        await confirm(session, given, `Delete all documents of ${counted(done.length, 'version')}?`)
        const names = done.map((each) => `${each.index}@${each.number}`)
        done = await versions.clear(names, { force, prefix, onLine, signal })
      } else if (done.length === 0) onLine('there is nothing to clear')
      if (given.flag('--json')) session.print(JSON.stringify(done.map(shown), null, 2))
    },
  })
}
