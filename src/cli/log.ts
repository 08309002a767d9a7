/**
 * `log`: what was done, by whom, how it ended.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { ActionRow } from '../store/actions.ts'
import { defineAction } from './actions.ts'
import type { Session } from './session.ts'
import { age, table } from './table.ts'

const defaultLimit = 20

/** The command on the audit log. */
export function logAction({ open, print }: Session): CommandLineAction {
  return defineAction({
    name: 'log',
    summary: 'Shows recorded actions, newest first',
    flags: { '--json': 'Prints JSON, with log lines and stacks.', '--lines': 'Shows the log lines and errors too.' },
    numbers: { '--limit': `How many; default ${defaultLimit}.` },
    async run({ flag, number }) {
      const actions = await (await open()).log(number('--limit') ?? defaultLimit)
      if (flag('--json')) return print(JSON.stringify(actions, null, 2))
      if (flag('--lines')) return print(actions.flatMap(story).join('\n'))
      for (const line of table(heads, actions.map(cells))) print(line)
    },
  })
}

const heads = ['id', 'action', 'state', 'started', 'took', 'by', 'counts', 'command line']

function cells(action: ActionRow): (string | number | null)[] {
  return [
    Number(action.id),
    action.action,
    action.state,
    action.startedAt?.slice(0, 19) ?? null,
    took(action),
    `${action.user ?? ''}@${action.host ?? ''}`,
    Object.entries(action.counts).map(([name, count]) => `${count} ${name}`).join(', '),
    action.commandLine,
  ]
}

function took({ startedAt, endedAt }: ActionRow): string | null {
  return startedAt && endedAt ? age(Date.parse(endedAt) - Date.parse(startedAt)) : null
}

function story(action: ActionRow): string[] {
  const [id, name, state, started, duration, by] = cells(action)
  const lines = [action.log, action.error ?? ''].flatMap((each) => each.split('\n')).filter((each) => each !== '')
  return [`${id} ${name} ${state} ${started ?? ''} ${duration ?? ''} ${by}`, ...lines.map((each) => `    ${each}`)]
}
