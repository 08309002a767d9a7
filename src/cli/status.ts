/**
 * `status`: one page, for people and for monitoring.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { Status } from '../commands/status.ts'
import { ElasticUmzugError } from '../errors.ts'
import { defineAction } from './actions.ts'
import type { Session } from './session.ts'
import { age, table } from './table.ts'

/** The command. */
export function statusAction(session: Session): CommandLineAction {
  const { open, print } = session
  return defineAction({
    name: 'status',
    summary: 'Shows on one page whether all is well, and what to do if not',
    documentation: 'Shows on one page whether all is well, and what to do if not. It changes nothing, and does not ' +
      'need the cluster. The exit code is 0 when all is well, 1 when something is wrong now, 3 when only something is left to do.',
    flags: {
      '--json': 'Prints JSON.',
      '--check': 'Exits with 1, and one message, for whatever is wrong or left to do.',
    },
    numbers: { '--max-lag-ms': 'How long a change may wait before that counts as wrong; default 60000.' },
    async run({ flag, number }) {
      const maxLagMs = number('--max-lag-ms')
      const status = await (await open()).status(maxLagMs === undefined ? {} : { maxLagMs })
      if (flag('--json')) print(JSON.stringify(status, null, 2))
      else for (const line of statusPage(status)) print(line)
      if (flag('--check')) assertWell(status)
      session.exitCode = exitCodeOf(status)
    },
  })
}

/** Exit code where nothing is wrong, but something is left to do. */
const warningCode = 3

function exitCodeOf({ problems }: Status): number {
  if (problems.length === 0) return 0
  return problems.some((each) => each.severity === 'error') ? 1 : warningCode
}

function assertWell({ problems }: Status): void {
  const [first] = problems
  if (!first) return
  const others = problems.length === 1 ? '' : `, and ${problems.length - 1} more`
  throw new ElasticUmzugError('STATUS_WRONG', `Something is wrong: ${first.what}${others}.`, { next: first.next })
}

/** The page, a line each; at most 80 columns wide but for names that are longer. */
export function statusPage(status: Status): string[] {
  return [
    ...verdict(status),
    '',
    ...facts(status),
    ...versionPart(status),
    ...unservedPart(status),
    ...capturePart(status),
  ]
}

function verdict({ problems }: Status): string[] {
  if (problems.length === 0) return ['all is well']
  const heading = problems.length === 1 ? '1 thing is wrong' : `${problems.length} things are wrong`
  return [heading, ...problems.flatMap(({ what, next }) => [...wrap('- ', what), ...wrap('  next: ', next)])]
}

function facts(status: Status): string[] {
  const lines: [string, string][] = [
    ['PostgreSQL', `${status.tables.database}, own tables ${status.tables.state} (schema ${status.tables.schema})`],
    ['search', clusterText(status)],
    ['migrations', status.pendingMigrations.length === 0 ? 'none pending' : pendingText(status)],
    ['runs', runText(status)],
    ['changes', changesText(status)],
  ]
  return lines.flatMap(([name, text]) => wrap(`${name}:`.padEnd(labelWidth), text))
}

const labelWidth = 12

function clusterText({ cluster }: Status): string {
  if (!cluster) return 'none in the config'
  return `${cluster.cluster}, ${cluster.health}${cluster.reason ? ` (${cluster.reason})` : ''}`
}

function pendingText({ pendingMigrations }: Status): string {
  const shown = pendingMigrations.slice(0, 3).join(', ')
  const more = pendingMigrations.length > 3 ? `, and ${pendingMigrations.length - 3} more` : ''
  return `${pendingMigrations.length} pending: ${shown}${more}`
}

function runText({ runs }: Status): string {
  if (runs.length === 0) return 'none'
  return runs.map(({ action, state, holdsRunLock, user, host, pid, since }) => {
    const what = holdsRunLock ? 'in progress, holds the run lock' : state.replace('_', ' ')
    return `${action} of ${user}@${host}, process ${pid}, since ${since.slice(0, 19)}: ${what}`
  }).join('; ')
}

function changesText({ changes: { changes, oldestMs } }: Status): string {
  if (changes === 0) return 'none wait'
  return `${changes === 10_000 ? '10000 or more' : changes} wait, the oldest for ${age(oldestMs)}`
}

function versionPart({ versions, aliases }: Status): string[] {
  if (versions.length === 0) return []
  const heads = ['version', 'state', 'alias', 'documents', 'backlog', 'lag', 'aborted']
  const rows = versions.map((each) => {
    const targets = aliases.find(({ index }) => index === each.index)?.targets
    const alias = targets ? (targets.includes(each.physical) ? 'yes' : 'no') : null
    const documents = each.documents ?? (each.lost ? 'lost' : null)
    return [each.physical, each.state, alias, documents, each.backlog, age(each.lagMs), each.aborted]
  })
  return ['', ...table(heads, rows)]
}

function unservedPart({ unserved }: Status): string[] {
  return unserved.flatMap(({ prefix, index, number, state, pending, servedAt, abandonedAt }) => {
    const last = servedAt ? `since ${servedAt.slice(0, 19)}` : 'ever'
    const fate = abandonedAt ? `given up ${abandonedAt.slice(0, 19)}` : `${pending} documents wait`
    return wrap('', `${prefix}${index}-${number} (${state}): no worker has had its definition ${last}; ${fate}`)
  })
}

function capturePart({ capture: { tables, onBypass } }: Status): string[] {
  if (tables.length === 0) return []
  const rows = tables.map(({ table, configured, triggers, by }) => [
    table,
    configured,
    triggers === 'none' ? null : `${triggers}, once a ${by}`,
  ])
  const unseen = 'hooks see what is sent through Sequelize, and of raw SQL what can be told ' +
    `(onBypass: ${onBypass}); other programs pass unseen`
  const hooked = tables.some((each) => each.configured === 'hooks')
  return ['', ...table(['table', 'captured by', 'triggers'], rows), ...(hooked ? wrap('', unseen) : [])]
}

const width = 80

/** Breaks a text between words; what is behind the first line stands below its beginning. */
export function wrap(start: string, text: string): string[] {
  const lines: string[] = []
  let line = start
  for (const word of text.split(/\s+/)) {
    const isFirst = line.length === start.length
    if (!isFirst && line.length + 1 + word.length > width) {
      lines.push(line)
      line = ' '.repeat(start.length)
    }
    line += line.length === start.length ? word : ` ${word}`
  }
  return [...lines, line]
}
