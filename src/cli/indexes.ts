/**
 * `es:list`, `es:create`, `es:update`, `es:activate`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import type { VersionStatus } from '../commands/indexes.ts'
import { defineAction } from './actions.ts'
import { followProgress } from './progress.ts'
import type { Session } from './session.ts'
import { age, table } from './table.ts'

const names = 'Names of indexes; none means all that the config defines.'
const dryRun = { '--dry-run': 'Prints what would be done, and changes nothing.' }

/** The commands on index versions. */
export function indexActions(session: Session): CommandLineAction[] {
  const { print, signal, runtime, open } = session
  const options = { onLine: print, signal }
  return [
    defineAction({
      name: 'es:list',
      summary: 'Lists index versions with state, documents, backlog and lag',
      flags: { '--json': 'Prints JSON.' },
      async run({ flag }) {
        const versions = await (await open()).versions.list()
        if (flag('--json')) print(JSON.stringify(versions, null, 2))
        else for (const line of versionTable(versions)) print(line)
      },
    }),
    defineAction({
      name: 'es:create',
      summary: 'Creates a new index version where the definition changed',
      names,
      flags: { '--force': 'Creates one although the definition did not change.', ...dryRun },
      async run({ names, flag }) {
        const { versions } = await open()
        const create = { ...options, force: flag('--force'), dryRun: flag('--dry-run') }
        await versions.create(names, create)
      },
    }),
    defineAction({
      name: 'es:update',
      summary: 'Populates and verifies the newest version until it is ready',
      documentation:
        'Populates and verifies the newest version of each index until it is ready. Started again after it was ' +
        'stopped or killed, it goes on from its checkpoint; started on more machines, they share the work one after another.',
      names,
      flags: dryRun,
      async run({ names, flag }) {
        const plugin = await open()
        const end = followProgress(plugin, runtime)
        await plugin.versions.update(names, { ...options, dryRun: flag('--dry-run') }).finally(end)
      },
    }),
    defineAction({
      name: 'es:activate',
      summary: 'Points the alias at a version that is complete and up to date',
      names:
        'name (its newest complete version), name@N, or the physical name; none means every index of the config. ' +
        'An older version that is kept is a rollback: it catches up first.',
      flags: dryRun,
      async run({ names, flag }) {
        const { versions } = await open()
        await versions.activate(names, { ...options, dryRun: flag('--dry-run') })
      },
    }),
  ]
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
