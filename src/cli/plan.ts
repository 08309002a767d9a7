/**
 * `plan`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { Plan, PlanStep } from '../commands/plan.ts'
import { defineAction } from './actions.ts'
import { costText } from './diff.ts'
import type { Session } from './session.ts'

/** The exit code that says that there is something to do. */
const todoCode = 2

/** The command that shows what `up` would do. */
export function planAction(session: Session): CommandLineAction {
  const { open, print } = session
  return defineAction({
    name: 'plan',
    summary: 'Shows all that up would do, in order, what it costs and what is in its way',
    documentation: 'Shows all that up would do, in order, what it costs and what is in its way. It changes nothing. ' +
      'The exit code is 2 when there is something to do, 0 when not, 1 on failure.',
    flags: { '--json': 'Prints JSON.' },
    async run({ flag }) {
      const plan = await (await open()).plan()
      if (flag('--json')) print(JSON.stringify(plan, null, 2))
      else for (const line of planLines(plan)) print(line)
      if (plan.todo) session.exitCode = todoCode
    },
  })
}

/** The plan, a line each. */
export function planLines({ todo, sections }: Plan): string[] {
  if (!todo) return ['nothing to do']
  return sections.filter((each) => each.steps.length > 0).flatMap(({ name, steps }) => [
    `${name}:`,
    ...steps.flatMap(stepLines),
  ])
}

function stepLines({ target, actions, destructive, blockedBy, notes, rows, minutes }: PlanStep): string[] {
  const cost = costText({ rows, minutes, bytes: null })
  return [
    `  ${target}: would be ${actions.join(', ')}${cost ? ` (about ${cost})` : ''}`,
    ...destructive.map((each) => `    takes away: ${each}`),
    ...blockedBy.map((each) => `    blocked: ${each}`),
    ...notes.map((each) => `    ${each}`),
  ]
}
