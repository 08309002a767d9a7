/**
 * `es:create`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import { defineAction, dryRun, indexNames } from './actions.ts'
import type { Session } from './session.ts'

/** The command that creates versions. */
export function createVersionAction({ open, print, signal }: Session): CommandLineAction {
  return defineAction({
    name: 'es:create',
    summary: 'Creates a new index version where the definition changed',
    names: indexNames,
    flags: {
      '--force': 'Creates one although the definition did not change.',
      '--in-place':
        'Puts the change into the active version, where Elasticsearch allows that, instead of making another.',
      '--restore': 'Makes lost physical indexes anew, from the stored definitions; they have to be filled.',
      ...dryRun,
    },
    async run({ names, flag }) {
      const { versions } = await open()
      await versions.create(names, {
        onLine: print,
        signal,
        force: flag('--force'),
        restore: flag('--restore'),
        inPlace: flag('--in-place'),
        dryRun: flag('--dry-run'),
      })
    },
  })
}
