/**
 * `es:verify`, and what the watch beside a worker tells.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { Verified } from '../commands/verify.ts'
import { messageOf } from '../errors.ts'
import type { ElasticUmzug } from '../plugin.ts'
import { defineAction, targetFlags, targetsOf } from './actions.ts'
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
      ...targetFlags,
      '--full': 'Begins anew; without it, a comparison that was stopped or killed is gone on with.',
      '--repair': 'Writes what differs anew. After a restore or failover it makes index and rows equal again.',
      '--json': 'Prints JSON.',
    },
    numbers: { '--sample': 'Compares the counts, and so many documents and rows at random (1 to 10000).' },
    async run(given) {
      const { names, flag, number } = given
      const sample = number('--sample')
      const plugin = await open()
      const asJson = flag('--json')
      const results: Verified[] = []
      const end = asJson ? () => {} : followProgress(plugin, runtime, 'verify:page:complete')
      try {
        await plugin.versions.verify(names, {
          ...targetsOf(given),
          ...(sample !== undefined && { sample }),
          full: flag('--full'),
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

/** Tells what the watch beside a worker finds. */
export function tellWatch(plugin: Pick<ElasticUmzug, 'on'>, print: (line: string) => void): void {
  plugin.on(
    'search:suspicion:noted',
    ({ message }) => print(`suspected: ${message}; next: npx umzug es:verify --repair`),
  )
  plugin.on('search:nodes:changed', () => print('nodes of Elasticsearch were started or went: ids are checked'))
  plugin.on(
    'verify:ids:complete',
    ({ index, version, missing, extra }) =>
      print(`${index}-${version}: ids checked; written anew: ${missing} missing, ${extra} extra`),
  )
  plugin.on('search:watch:failed', ({ error }) => print(`it could not be looked for a restore: ${messageOf(error)}`))
}
