/**
 * `es:activate`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import { defineAction, dryRun } from './actions.ts'
import type { Session } from './session.ts'

/** The command that moves aliases. */
export function activateAction({ open, print, signal }: Session): CommandLineAction {
  return defineAction({
    name: 'es:activate',
    summary: 'Points the alias at a version that is complete and up to date',
    names: 'name (its newest complete version), name@N, or the physical name; none means every index of the config. ' +
      'An older version that is kept is a rollback: it catches up first.',
    flags: {
      '--when-ready': 'Waits until somebody has filled the newest version, or the one that is named.',
      '--force': 'Takes a version although it lacks something, and tells what; es:verify --repair fills it.',
      ...dryRun,
    },
    async run({ names, flag }) {
      const { versions } = await open()
      await versions.activate(names, {
        onLine: print,
        signal,
        force: flag('--force'),
        whenReady: flag('--when-ready'),
        dryRun: flag('--dry-run'),
      })
    },
  })
}
