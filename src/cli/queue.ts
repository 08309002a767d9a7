/**
 * `queue:status`, `queue:work`, `queue:retry`, `queue:clear`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { QueueSelection } from '../commands/aborted.ts'
import type { QueueStatus } from '../commands/queue.ts'
import { ElasticUmzugError, messageOf } from '../errors.ts'
import type { ElasticUmzug } from '../plugin.ts'
import { redact } from '../redact.ts'
import { defineAction, type Given } from './actions.ts'
import type { Session } from './session.ts'
import { age, table } from './table.ts'
import { tellWatch } from './verify.ts'

const names = 'name (all versions of the index), name@N, or the physical name; none means all.'
const filters = {
  '--index': 'Only versions of this index; may be given more than once.',
  '--key': 'Only the document with this key; may be given more than once.',
  '--reason': 'Only documents whose reason holds this text.',
}
const json = { '--json': 'Prints JSON.' }
const dryRun = { '--dry-run': 'Counts what would be done, and changes nothing.' }

/** The commands on the queue. */
export function queueActions(session: Session): CommandLineAction[] {
  return [statusAction(session), workAction(session), retryAction(session), clearAction(session)]
}

function statusAction({ open, print }: Session): CommandLineAction {
  return defineAction({
    name: 'queue:status',
    summary: 'Shows backlog, lag and aborted documents of every index version',
    names,
    flags: { '--aborted': 'Lists aborted documents, of each version the first thousand.', ...json },
    texts: filters,
    async run(given) {
      const options = { ...selectionOf(given), aborted: given.flag('--aborted') }
      const status = await (await open()).queue.status(options)
      if (given.flag('--json')) print(JSON.stringify(status, null, 2))
      else for (const line of statusLines(status)) print(line)
    },
  })
}

function workAction({ open, print, signal }: Session): CommandLineAction {
  return defineAction({
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
  })
}

function retryAction(session: Session): CommandLineAction {
  const { open, print, signal } = session
  return defineAction({
    name: 'queue:retry',
    summary: 'Tries aborted documents again',
    names,
    flags: { ...dryRun, ...json },
    texts: filters,
    async run(given) {
      const options = { ...selectionOf(given), dryRun: given.flag('--dry-run'), signal }
      const counts = await (await open()).queue.retry({ ...options, ...linesTo(given, print) })
      tellCounts(given, print, counts, 'would be tried again')
    },
  })
}

function clearAction(session: Session): CommandLineAction {
  const { open, print, signal } = session
  return defineAction({
    name: 'queue:clear',
    summary: 'Forgets aborted documents',
    documentation: 'Forgets aborted documents: they stay in the index as they are until their rows change again. ' +
      'Which ones must be said: by index, version, or key, or --all.',
    names: 'name (all versions of the index), name@N, or the physical name.',
    flags: { '--all': 'Means every aborted document of every version.', ...dryRun, ...json },
    texts: filters,
    async run(given) {
      const options = { ...selectionOf(given), all: given.flag('--all'), dryRun: given.flag('--dry-run'), signal }
      const counts = await (await open()).queue.clear({ ...options, ...linesTo(given, print) })
      tellCounts(given, print, counts, 'would be forgotten')
    },
  })
}

function selectionOf({ names, texts }: Given): QueueSelection {
  const [reason, another] = texts('--reason')
  if (another !== undefined) {
    throw new ElasticUmzugError('COMMAND_INVALID', '--reason can be given once.', {
      next: 'give the text that all of them hold',
    })
  }
  return {
    targets: names,
    indexes: texts('--index'),
    keys: texts('--key'),
    ...(reason === undefined ? {} : { reason }),
  }
}

// A program that reads the JSON wants nothing else there.
function linesTo({ flag }: Given, print: (line: string) => void): { onLine?: (line: string) => void } {
  return flag('--json') ? {} : { onLine: print }
}

function tellCounts(
  { flag }: Given,
  print: (line: string) => void,
  counts: readonly { index: string; version: number; keys: number }[],
  would: string,
): void {
  if (flag('--json')) return print(JSON.stringify(counts, null, 2))
  if (!flag('--dry-run')) return
  for (const { index, version, keys } of counts) print(`${index}-${version}: ${keys} documents ${would}`)
  if (counts.length === 0) print('no document is aborted')
}

function statusLines(status: readonly QueueStatus[]): string[] {
  const rows = status.map((each) => [
    each.index,
    each.version,
    each.state,
    counted(each.backlog),
    age(each.lagMs),
    counted(each.aborted),
  ])
  const keys = status.flatMap(({ index, version, abortedKeys }) =>
    abortedKeys.map(({ key, reason }) => `${index}-${version}: document ${key} aborted: ${reason}`)
  )
  return [...table(['index', 'version', 'state', 'backlog', 'lag', 'aborted'], rows), ...keys]
}

// Counting ends there.
function counted(count: number): string | number {
  return count < 1_000_000 ? count : '1,000,000+'
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
  tellWatch(plugin, print)
  plugin.on(
    'queue:document:aborted',
    ({ index, version, key, reason }) => print(`${index}-${version}: document ${key} aborted: ${reason}`),
  )
  plugin.on(
    'queue:version:unserved',
    ({ index, version, state, sinceMs }) =>
      print(`${index}-${version} (${state}) falls behind: no worker has had its definition for ${age(sinceMs)}`),
  )
  plugin.on(
    'queue:version:abandoned',
    ({ index, version }) => print(`${index}-${version} was given up: no worker had its definition for too long`),
  )
}
