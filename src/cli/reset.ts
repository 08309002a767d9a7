/**
 * `es:reset`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import { defineAction } from './actions.ts'
import { confirm, confirmFlags, teller } from './confirm.ts'
import { followProgress } from './progress.ts'
import type { Session } from './session.ts'

/** The command that builds everything anew. */
export function resetAction(session: Session): CommandLineAction {
  return defineAction({
    name: 'es:reset',
    summary: 'Builds every index of this environment anew, then drops its old versions',
    documentation:
      'Builds and activates a new version of every index of this environment, or of the named ones, then drops ' +
      'those before. Readers go on with the old version until the new one is active. The record of what was done stays.',
    names: 'Names of indexes; none means all that were made with the prefix of the config.',
    flags: { '--force': 'The same as --yes.', ...confirmFlags },
    async run(given) {
      const plugin = await session.open()
      const options = { onLine: teller(session, given), signal: session.signal }
      await plugin.versions.reset(given.names, { ...options, dryRun: true })
      if (given.flag('--dry-run')) return
      if (!given.flag('--force')) await confirm(session, given, 'Drop and build all of this?')
      const end = followProgress(plugin, session.runtime)
      const done = await plugin.versions.reset(given.names, options).finally(end)
      if (given.flag('--json')) session.print(JSON.stringify(done, null, 2))
    },
  })
}
