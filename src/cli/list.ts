/**
 * `es:list`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { VersionStatus } from '../commands/list.ts'
import { defineAction } from './actions.ts'
import type { Session } from './session.ts'
import { age, table } from './table.ts'

/** The command that lists index versions. */
export function listAction({ open, print }: Session): CommandLineAction {
  return defineAction({
    name: 'es:list',
    summary: 'Lists index versions with state, documents, backlog and lag',
    flags: { '--json': 'Prints JSON.' },
    async run({ flag }) {
      const versions = await (await open()).versions.list()
      if (flag('--json')) print(JSON.stringify(versions, null, 2))
      else for (const line of versionTable(versions)) print(line)
    },
  })
}

function versionTable(versions: readonly VersionStatus[]): string[] {
  if (versions.length === 0) return ['no index versions yet; next: npx umzug up']
  const heads = ['version', 'state', 'documents', 'rows', 'backlog', 'lag', 'aborted', 'definition', 'tag', 'created']
  return table(
    heads,
    versions.map((each) => [
      each.physical,
      each.state,
      each.documents ?? (each.lost ? 'lost' : 'unknown'),
      each.rowsExpected,
      each.backlog,
      age(each.lagMs),
      each.aborted,
      each.hash.slice(0, 8),
      each.tag,
      each.createdAt.slice(0, 19),
    ]),
  )
}
