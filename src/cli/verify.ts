/**
 * `es:verify`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { Verified } from '../commands/verify.ts'
import { defineAction } from './actions.ts'
import { followProgress } from './progress.ts'
import type { Session } from './session.ts'

/** The command that compares documents with rows. */
export function verifyAction({ open, print, signal, runtime }: Session): CommandLineAction {
  return defineAction({
    name: 'es:verify',
    summary: 'Compares every document with its row, and repairs what differs',
    documentation:
      'Compares every document with what its row gives now, both ways, while writes go on. What is on its way through the ' +
      'queue is no difference. It ends with exit code 1 when differences remain. Any number may run at once.',
    names:
      'name (its active version), name@N, or the physical name; none means every complete version that this code ' +
      'has the definition of.',
    flags: {
      '--repair': 'Writes what differs anew. After a restore or failover it makes index and rows equal again.',
      '--json': 'Prints JSON.',
    },
    async run({ names, flag }) {
      const plugin = await open()
      const asJson = flag('--json')
      const results: Verified[] = []
      const end = asJson ? () => {} : followProgress(plugin, runtime, 'verify:page:complete')
      try {
        await plugin.versions.verify(names, {
          repair: flag('--repair'),
          signal,
          onResult: (result) => void results.push(result),
          ...(asJson ? {} : { onLine: print }),
        })
      } finally {
        end()
        if (asJson) print(JSON.stringify(results, null, 2))
      }
    },
  })
}
