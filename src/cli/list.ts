/**
 * `es:list`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { Uncreated, VersionStatus } from '../commands/list.ts'
import type { ForeignIndex } from '../search/inventory.ts'
import { defineAction, type Given, targetFlags, targetsOf } from './actions.ts'
import type { Session } from './session.ts'
import { age, size, table } from './table.ts'

/** The option of commands that may look at another environment. */
export const prefixText: Readonly<Record<string, string>> = {
  '--prefix': 'The versions of another environment that are recorded in this database.',
}

/** Its value; the last one where it was given again. */
export function prefixGiven({ texts }: Given): string | undefined {
  return texts('--prefix').at(-1)
}

/** The command that lists index versions. */
export function listAction({ open, print }: Session): CommandLineAction {
  return defineAction({
    name: 'es:list',
    summary: 'Lists index versions with state, documents, size, backlog and lag',
    names: 'Indexes (all their versions), name@N, or physical names; none means all there are.',
    flags: {
      ...targetFlags,
      '--dropped': 'The versions that were dropped, which stay on record.',
      '--foreign': 'The other indexes of the cluster, but for those that begin with a dot.',
      '--json': 'Prints JSON.',
    },
    texts: prefixText,
    async run(given) {
      const { versions } = await open()
      const { names, flag } = given
      if (flag('--foreign')) return show(flag('--json'), await versions.listForeign(), foreignTable)
      const [prefix, dropped] = [prefixGiven(given), flag('--dropped')]
      const found = await versions.list(names, { ...targetsOf(given), prefix, dropped })
      if (dropped) return show(flag('--json'), found, droppedTable)
      const uncreated = prefix === undefined ? await versions.listUncreated(names) : []
      if (flag('--json')) return print(JSON.stringify([...found, ...uncreated.map(asRow)], null, 2))
      for (const line of versionTable(found, uncreated)) print(line)
    },
  })

  function show<Row>(json: boolean, rows: Row[], lines: (rows: Row[]) => string[]): void {
    if (json) return print(JSON.stringify(rows, null, 2))
    for (const line of lines(rows)) print(line)
  }
}

function asRow(each: Uncreated): object {
  return { ...each, state: 'not created', number: null, physical: null }
}

const heads = [
  'version',
  'state',
  'documents',
  'rows',
  'size',
  'backlog',
  'lag',
  'aborted',
  'definition',
  'code',
  'tag',
  'created',
]

function versionTable(versions: readonly VersionStatus[], uncreated: readonly Uncreated[]): string[] {
  if (versions.length + uncreated.length === 0) return ['no index versions yet; next: npx umzug up']
  const rows = versions.map((each) => [
    each.physical,
    each.lost ? `${each.state}, lost` : each.state,
    each.documents ?? (each.lost ? 'lost' : 'unknown'),
    each.rowsExpected,
    each.sizeBytes === null ? null : size(each.sizeBytes),
    each.backlog,
    age(each.lagMs),
    each.aborted,
    each.hash.slice(0, 8),
    each.known ? 'this' : 'other',
    each.tag,
    each.createdAt.slice(0, 19),
  ])
  const open = uncreated.map(({ index, hash }) => [
    index,
    'not created',
    ...Array.from({ length: 6 }, () => null),
    hash.slice(0, 8),
    'this',
    null,
    null,
  ])
  return table(heads, [...rows, ...open])
}

function droppedTable(versions: readonly VersionStatus[]): string[] {
  if (versions.length === 0) return ['no version was dropped']
  return table(
    ['version', 'dropped', 'index deleted', 'definition', 'tag', 'created'],
    versions.map((each) => [
      each.physical,
      each.droppedAt?.slice(0, 19) ?? null,
      each.removedAt?.slice(0, 19) ?? 'not yet',
      each.hash.slice(0, 8),
      each.tag,
      each.createdAt.slice(0, 19),
    ]),
  )
}

function foreignTable(indexes: readonly ForeignIndex[]): string[] {
  if (indexes.length === 0) return ['the cluster has no other indexes']
  return table(
    ['index', 'documents', 'size', 'made by us with prefix'],
    indexes.map(({ name, documents, sizeBytes, prefix, state }) => [
      name,
      documents,
      sizeBytes === null ? null : size(sizeBytes),
      prefix === null ? null : `"${prefix}", ${state}`,
    ]),
  )
}
