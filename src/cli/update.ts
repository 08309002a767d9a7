/**
 * `es:update`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import { defineAction, dryRun, indexNames } from './actions.ts'
import { followProgress } from './progress.ts'
import type { Session } from './session.ts'

/** The command that fills versions. */
export function updateAction({ open, print, runtime, signal }: Session): CommandLineAction {
  return defineAction({
    name: 'es:update',
    summary: 'Populates and verifies the newest version until it is ready',
    documentation:
      'Populates and verifies the newest version of each index until it is ready. Started again after it was ' +
      'stopped or killed, it goes on from its checkpoint; started on more machines, they share the work one after another.',
    names: indexNames,
    flags: dryRun,
    async run({ names, flag }) {
      const plugin = await open()
      const end = followProgress(plugin, runtime)
      await plugin.versions.update(names, { onLine: print, signal, dryRun: flag('--dry-run') }).finally(end)
    },
  })
}
