/**
 * `es:drop`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import { ElasticUmzugError } from '../errors.ts'
import type { IndexCommands } from '../commands/indexes.ts'
import { counted } from '../commands/words.ts'
import type { Version } from '../search/versions.ts'
import { defineAction, type Given, targetFlags, targetsOf } from './actions.ts'
import { confirm, confirmFlags, teller } from './confirm.ts'
import { prefixGiven, prefixText } from './list.ts'
import type { Session } from './session.ts'

/** The command that drops versions. */
export function dropAction(session: Session): CommandLineAction {
  return defineAction({
    name: 'es:drop',
    summary: 'Drops index versions and deletes their physical indexes',
    documentation:
      'Drops index versions: from then on they get no changes. Their physical indexes are deleted when no ' +
      'request to them can be under way any more, one leaseMs later; Ctrl-C leaves that to a worker. They stay on record.',
    names: 'name@N or physical names; an index means all its versions and needs --force.',
    flags: {
      ...targetFlags,
      '--force': 'Takes the active version with its alias, all versions of an index, or all there are, too.',
      ...confirmFlags,
    },
    texts: {
      ...prefixText,
      '--foreign': 'Deletes this index of the cluster that is not ours, by its exact name.',
    },
    async run(given) {
      const { versions } = await session.open()
      const done = given.texts('--foreign').length > 0
        ? await dropForeign(session, given, versions)
        : (await drop(session, given, versions)).map(shown)
      if (given.flag('--json')) session.print(JSON.stringify(done, null, 2))
    },
  })
}

async function drop(session: Session, given: Given, versions: IndexCommands): Promise<Version[]> {
  const options = {
    ...targetsOf(given),
    force: given.flag('--force'),
    prefix: prefixGiven(given),
    onLine: teller(session, given),
    signal: session.signal,
  }
  const planned = await versions.drop(given.names, { ...options, dryRun: true })
  if (given.flag('--dry-run')) return planned
  if (planned.length > 0) await confirm(session, given, `Drop ${counted(planned.length, 'version')}?`)
  // What was shown, and nothing that came meanwhile; where there is nothing, what an earlier run has left.
  const { force, prefix, onLine, signal } = options
  const names = planned.length > 0 ? planned.map((each) => `${each.index}@${each.number}`) : given.names
  const chosen = planned.length > 0 ? { force, prefix, onLine, signal } : options
  return await versions.drop(names, chosen)
}

async function dropForeign(session: Session, given: Given, versions: IndexCommands): Promise<object[]> {
  const names = given.texts('--foreign')
  if (given.names.length > 0) {
    throw new ElasticUmzugError('COMMAND_INVALID', `--foreign and names of versions were given together.`, {
      next: 'drop them one after the other',
    })
  }
  const options = { onLine: teller(session, given), signal: session.signal }
  const planned = await versions.dropForeign(names, { ...options, dryRun: true })
  if (given.flag('--dry-run')) return planned
  await confirm(session, given, `Delete ${counted(planned.length, 'index', 'indexes')} that are not ours?`)
  return await versions.dropForeign(names, options)
}

/** A version as a command prints it in JSON. */
export function shown({ index, number, physical, state }: Version): object {
  return { index, number, physical, state }
}
