/**
 * `es:update`.
 * @module
 */
import type { CommandLineAction } from '@rushstack/ts-command-line'
import { messageOf } from '../errors.ts'
import { invalid } from '../commands/choice.ts'
import type { UpdateOptions } from '../commands/update.ts'
import { defineAction, dryRun, type Given, targetFlags, targetsOf } from './actions.ts'
import { startHelpers } from './helpers.ts'
import { followProgress } from './progress.ts'
import type { Session } from './session.ts'

/** Names the action that a process takes part in; set for the processes that `--workers` starts. */
const joinsVariable = 'ELASTIC_UMZUG_JOINS'

/** The command that fills versions and brings them up to date. */
export function updateAction({ open, print, runtime, signal }: Session): CommandLineAction {
  return defineAction({
    name: 'es:update',
    summary: 'Fills a version until it is ready, or brings a complete one up to date',
    documentation:
      'Populates and verifies the version of each index until it is ready. One that is complete is updated while it ' +
      'serves: every row is read and written again, and documents without a row are deleted. Started again after it was ' +
      'stopped or killed, it goes on from its checkpoint; started on more machines, they share the work.',
    names: 'name (the version of this code), name@N, or the physical name; none means all that the config defines.',
    flags: {
      '--full': 'Begins anew where an interrupted update could be gone on with.',
      '--copy':
        'Fills a new version by a copy of the active one inside the cluster, or fails; by default where that is sure.',
      '--no-copy': 'Reads the rows in any case.',
      '--force': 'Fills a version although the cluster may lack the room for it.',
      ...targetFlags,
      ...dryRun,
    },
    texts: {
      '--since': 'Only rows changed since: a date, or last (the beginning of the last complete update).',
      '--where': 'Only rows that meet a condition: a where of the model as JSON, $gt for Op.gt.',
      '--ids': 'Only these documents: keys, separated by commas; a comma in a key is written \\,, a backslash \\\\.',
    },
    numbers: {
      '--workers': 'Processes on this machine that share the work. Default 1.',
      '--batch-size': 'Most rows of a page.',
      '--rate': 'Most documents a second of each process.',
    },
    async run(given) {
      const plugin = await open()
      const options = optionsOf(given)
      const joins = runtime.env(joinsVariable)
      if (joins) return void await plugin.versions.update(given.names, { ...options, joins, signal, onLine: print })
      const helpers = startHelpers(runtime, { print, signal })
      const ends = (['populate:page:complete', 'update:page:complete'] as const).map((event) =>
        followProgress(plugin, runtime, event)
      )
      const processes = given.number('--workers') ?? 1
      if (processes < 1) throw invalid('--workers is 0; it is at least 1')
      const onBegin = (id: string) => helpers.start(processes - 1, { [joinsVariable]: id })
      try {
        await plugin.versions.update(given.names, { ...options, onBegin, signal, onLine: print })
      } finally {
        for (const end of ends) end()
        await helpers.ended()
      }
    },
  })
}

function optionsOf(given: Given): UpdateOptions {
  const { flag, number, text } = given
  const [since, where] = [text('--since'), text('--where')]
  const [batchSize, rate] = [number('--batch-size'), number('--rate')]
  const ids = given.texts('--ids').flatMap(keysIn)
  return {
    ...targetsOf(given),
    full: flag('--full'),
    ...(flag('--copy') && { copy: true }),
    ...(flag('--no-copy') && { copy: false }),
    force: flag('--force'),
    dryRun: flag('--dry-run'),
    ...(since !== undefined && { since }),
    ...(where !== undefined && { where: parsed(where) }),
    ...(given.texts('--ids').length > 0 && { ids }),
    ...(batchSize !== undefined && { batchSize }),
    ...(rate !== undefined && { rate }),
  }
}

function parsed(where: string): unknown {
  try {
    return JSON.parse(where)
  } catch (error) {
    throw invalid(`--where is no JSON: ${messageOf(error)}`, `as in --where '{"published": true}'`)
  }
}

/** Keys in a list with commas: `1,2` are two, `a\,b` is one, and `a\\b` one with a backslash. */
export function keysIn(list: string): string[] {
  return (list.match(/(?:\\.|[^,\\]|\\$)+/g) ?? []).map((each) => each.replaceAll(/\\([,\\])/g, '$1'))
}
