/**
 * `log`: what was done, by whom, how it ended.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { ActionRow, LogFilter } from '../store/action-log.ts'
import { ElasticUmzugError } from '../errors.ts'
import { defineAction, type Given } from './actions.ts'
import { followLog } from './follow.ts'
import type { Session } from './session.ts'
import { age, table } from './table.ts'

const defaultLimit = 20

/** The command on the audit log. */
export function logAction({ open, print, runtime, signal }: Session): CommandLineAction {
  return defineAction({
    name: 'log',
    summary: 'Shows recorded actions, newest first',
    documentation:
      'Shows recorded actions, newest first; with its number, one of them with its parts, lines and errors.',
    names: 'Number of an action.',
    flags: {
      '--json': 'Prints JSON, with log lines and stacks.',
      '--lines': 'Shows the log lines and errors too.',
      '--follow': 'Goes on showing what is begun and what is told, until it is stopped.',
    },
    shorts: { '--follow': '-f' },
    numbers: { '--limit': `How many; default ${defaultLimit}.` },
    texts: {
      '--command': 'Only this command, as up or es:update.',
      '--index': 'Only what is about this index, by its name or the physical name of a version.',
      '--status': 'Only queued, in_progress, complete, aborted or interrupted.',
      '--since': 'Only what was begun after this date.',
    },
    async run(given) {
      const plugin = await open()
      const { names, flag } = given
      if (names.length > 1) throw invalid('log shows one action at a time')
      if (names.length === 1) {
        const tree = await plugin.logOf(names[0]!)
        if (flag('--json')) return print(JSON.stringify(tree, null, 2))
        const lines = [...story(tree), ...details(tree), ...tree.parts.flatMap((each) => story(each).map(inner))]
        return print(lines.join('\n'))
      }
      const filter = filterOf(given)
      const tell = (actions: readonly ActionRow[]) => {
        if (flag('--json')) return print(JSON.stringify(actions, null, 2))
        if (flag('--lines')) return print(actions.flatMap(story).join('\n'))
        for (const line of table(heads, actions.map(cells))) print(line)
      }
      if (!flag('--follow')) return tell(await plugin.log(filter))
      await followLog(plugin, filter, { clock: runtime.clock, signal, print, asJson: flag('--json') })
    },
  })
}

const states: readonly string[] = ['queued', 'in_progress', 'complete', 'aborted', 'interrupted']

function filterOf({ text, number }: Given): LogFilter {
  const status = text('--status')
  if (status !== undefined && !states.includes(status)) {
    throw invalid(`--status is ${status}, which is none of ${states.join(', ')}`)
  }
  return {
    limit: number('--limit') ?? defaultLimit,
    ...defined({ command: text('--command'), index: text('--index'), since: text('--since') }),
    ...(status !== undefined && { status: status as ActionRow['state'] }),
  }
}

function defined<T extends object>(given: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  return Object.fromEntries(Object.entries(given).filter(([, each]) => each !== undefined)) as never
}

function invalid(what: string): ElasticUmzugError {
  return new ElasticUmzugError('COMMAND_INVALID', `${what}.`, { next: 'npx umzug log --help' })
}

const heads = ['id', 'action', 'state', 'target', 'started', 'took', 'by', 'counts', 'command line']

function cells(action: ActionRow): (string | number | null)[] {
  return [
    idOf(action),
    action.action,
    action.state,
    action.target,
    action.startedAt?.slice(0, 19) ?? null,
    took(action),
    `${action.user ?? ''}@${action.host ?? ''}`,
    counted(action),
    action.commandLine,
  ]
}

// With several databases it says which one.
function idOf({ id }: ActionRow): string | number {
  return id.includes('/') ? id : Number(id)
}

function counted({ counts }: ActionRow): string {
  return Object.entries(counts).map(([name, count]) => `${count} ${name}`).join(', ')
}

function took({ startedAt, endedAt }: ActionRow): string | null {
  return startedAt && endedAt ? age(Date.parse(endedAt) - Date.parse(startedAt)) : null
}

function story(action: ActionRow): string[] {
  const [id, name, state, target, started, duration, by, counts] = cells(action)
  const lines = [action.log, action.error ?? ''].flatMap((each) => each.split('\n')).filter((each) => each !== '')
  const head = [id, name, target, state, started, duration, by, counts].filter((each) => each !== null && each !== '')
  return [head.join(' '), ...lines.map(inner)]
}

function details({ commandLine, options, tag, host, pid }: ActionRow): string[] {
  const about = { 'command line': commandLine, options: options && JSON.stringify(options), tag, process: pid, host }
  return Object.entries(about).filter(([, each]) => each !== null).map(([name, each]) => inner(`${name}: ${each}`))
}

function inner(line: string): string {
  return `    ${line}`
}
