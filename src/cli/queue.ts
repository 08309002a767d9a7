/**
 * `queue:status` and `queue:work`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import { messageOf } from '../errors.ts'
import type { ElasticUmzug } from '../plugin.ts'
import { redact } from '../redact.ts'
import { defineAction } from './actions.ts'
import type { Session } from './session.ts'
import { age, table } from './table.ts'

/** The commands on the queue. */
export function queueActions({ open, print, signal }: Session): CommandLineAction[] {
  return [
    defineAction({
      name: 'queue:status',
      summary: 'Shows backlog, lag and aborted documents of every index version',
      flags: { '--json': 'Prints JSON.' },
      async run({ flag }) {
        const status = await (await open()).queue.status()
        if (flag('--json')) return print(JSON.stringify(status, null, 2))
        const rows = status.map((each) => [
          each.index,
          each.version,
          each.state,
          each.backlog,
          age(each.lagMs),
          each.aborted,
        ])
        for (const line of table(['index', 'version', 'state', 'backlog', 'lag', 'aborted'], rows)) print(line)
        for (const { index, version, abortedKeys } of status) {
          for (const { key, reason } of abortedKeys) print(`${index}-${version}: document ${key} aborted: ${reason}`)
        }
      },
    }),
    defineAction({
      name: 'queue:work',
      summary: 'Brings changed rows into the indexes until it is stopped',
      documentation:
        'Brings changed rows into the indexes until it is stopped by SIGINT or SIGTERM. It writes the versions ' +
        'that were built from the definitions of this code; any number of workers may run at once.',
      async run() {
        const plugin = await open()
        tellTrouble(plugin, print)
        await plugin.queue.work(signal, () => print('working; stop with Ctrl-C'))
      },
    }),
  ]
}

// What other libraries say of their trouble may hold a password.
function tellTrouble(plugin: ElasticUmzug, tell: (line: string) => void): void {
  const print = (line: string) => tell(redact(line))
  plugin.on(
    'queue:search:away',
    ({ reason, retryInMs }) => print(`search is away (${reason}); again in ${age(retryInMs)}`),
  )
  plugin.on('queue:search:back', () => print('search is back'))
  plugin.on('queue:worker:error', ({ error }) => print(`error: ${messageOf(error)}`))
  plugin.on(
    'queue:document:aborted',
    ({ index, version, key, reason }) => print(`${index}-${version}: document ${key} aborted: ${reason}`),
  )
}
