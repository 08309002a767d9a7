/**
 * `es:diff`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { Diff } from '../commands/diff.ts'
import type { Change } from '../search/diff.ts'
import { defineAction } from './actions.ts'
import type { Session } from './session.ts'

/** The command that shows what changed. */
export function diffAction(session: Session): CommandLineAction {
  const { open, print } = session
  return defineAction({
    name: 'es:diff',
    summary: 'Shows what changed between code, versions and cluster, and what it takes',
    documentation:
      'Shows what changed between two of: the code, versions (books@1, books-1), and live, which is what ' +
      'the cluster has; by default of each index its active version and the code. The exit code is 0, also when ' +
      'something differs; with --check it is 1 then.',
    names: 'Name of an index, then up to two of books@N, a physical name, code and live.',
    flags: { '--json': 'Prints JSON.', '--check': 'Exits with 1 when something differs.' },
    async run({ names, flag }) {
      const diffs = await (await open()).versions.diff(names)
      if (flag('--json')) print(JSON.stringify(diffs, null, 2))
      else for (const line of diffs.flatMap(diffLines)) print(line)
      if (flag('--check') && diffs.some((each) => each.from === null || each.changes.length > 0)) session.exitCode = 1
    },
  })
}

const heads = {
  'in-place': 'can be put in place:',
  copy: 'needs a new version, whose documents can be copied inside the cluster:',
  populate: 'needs a new version, whose documents are made anew:',
} as const

/** One comparison, a line each. */
export function diffLines(diff: Diff): string[] {
  const { index, from, to, changes, way } = diff
  if (from === null) return [`${index}: no version yet; next: npx umzug up`, ...costLines(diff)]
  const title = `${from} → ${to}`
  if (changes.length === 0) return [`${title}: no difference`]
  if (to === 'live') return [`${title}: the cluster differs from what is stored`, ...changes.map(lineOf)]
  const parts = (['in-place', 'copy', 'populate'] as const).flatMap((each) => {
    const found = changes.filter((change) => change.way === each)
    return found.length > 0 ? [`  ${heads[each]}`, ...found.map((change) => `  ${lineOf(change)}`)] : []
  })
  const next = way === 'in-place' && to === 'code' ? [`  next: npx umzug es:create --in-place ${index}`] : []
  const whole = `  together: ${heads[way!].replace(/:$/, '')}`
  return [title, ...parts, whole, ...(way === 'in-place' ? [] : costLines(diff)), ...next]
}

const signs = { added: '+', removed: '-', changed: '~' } as const

function lineOf({ path, kind, before, after, note }: Change): string {
  const value = kind === 'changed' ? `${text(before)} → ${text(after)}` : text(kind === 'added' ? after : before)
  return `  ${signs[kind]} ${path}: ${value}${note ? ` (${note})` : ''}`
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function costLines(cost: Pick<Diff, 'rows' | 'minutes' | 'bytes'>): string[] {
  const line = costText(cost)
  return line ? [`  about ${line}`] : []
}

/** What something costs, as far as that is known; empty where nothing is. */
export function costText({ rows, minutes, bytes }: Pick<Diff, 'rows' | 'minutes' | 'bytes'>): string {
  return [
    rows === null ? '' : `${Math.round(rows)} rows`,
    minutes === null ? '' : `${minutes} minutes`,
    bytes === null ? '' : `${Math.max(1, Math.round(bytes / 1e6))} MB of disk`,
  ].filter(Boolean).join(', ')
}
