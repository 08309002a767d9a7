/**
 * `es:update`: versions filled until they are ready, and complete ones brought up to date.
 * @module
 */
import { ElasticUmzugError, isOwnError, messageOf } from '../errors.ts'
import { createVersion, type LifecycleDeps, versionOf } from '../search/lifecycle.ts'
import type { LoadOptions } from '../search/load.ts'
import type { TargetOptions } from '../search/targets.ts'
import { isUnfilled, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base } from './base.ts'
import { type ChangeOptions, changing, eachOf, tellNone, tellPlan } from './change.ts'
import { checkChoice, type ChoiceOptions, type Choosing, rowsOf } from './choice.ts'
import { fillRecorded } from './fill.ts'
import { join, joinAction } from './join.ts'
import { countRows, refreshRecorded } from './refresh.ts'
import type { Run } from './run.ts'
import { type Job, jobsOf } from './update-jobs.ts'

/** Options of `update`. `workers` are key ranges at once in this process; `rate` is this process's alone. */
export interface UpdateOptions extends ChangeOptions, TargetOptions, ChoiceOptions, LoadOptions {
  /** True begins anew where an interrupted update could be gone on with. */
  full?: boolean
  /** Whether a new version is filled by a copy inside the cluster; see `LifecycleDeps.copy`. */
  copy?: boolean
  /** True fills a version although the cluster may lack the room for it. */
  force?: boolean
  /** Number of an action of another process of this machine: takes part in its work instead of doing any of its own. */
  joins?: string
  /** Gets the number of the action once it does its work. */
  onBegin?: (id: string) => void
}

/** Fills and refreshes versions; see `IndexCommands.update`. */
export async function updateVersions(
  base: Base,
  within: Run | undefined,
  names: readonly string[],
  options: UpdateOptions,
): Promise<Version[]> {
  const choice = checkChoice(options)
  const load = loadOf(options)
  const { joins, signal, onLine = () => {} } = options
  if (joins !== undefined) return await joinAction(base, joins, { load, signal, say: onLine }).then(() => [])
  if (names.length === 0) tellNone(options, base.definitions)
  if (options.dryRun) return await tellPlan(base, options, () => plan(base, names, options, choice))
  // A wrong name is better told at once than after hours of waiting.
  if (!within) await checkSchema(base.store)
  await jobsOf(base, names, options)
  const recorded = {
    ...options,
    target: names.length > 0 ? names.join(' ') : null,
    options: given(options),
    whileWaiting: (run: Run) => join(base, { load, signal, say: run.say, part: run.part }),
  }
  return await changing(base, within, 'es:update', recorded, async (deps, run) => {
    options.onBegin?.(run.action.id)
    const jobs = await jobsOf(base, names, options)
    if (jobs.length === 0) run.say('no version is chosen, nothing to do')
    return await eachTried(jobs, (job) => update(base, run, { ...deps, load }, job, choice, options))
  })
}

function loadOf({ batchSize, rate, workers }: LoadOptions): LoadOptions {
  for (const [name, value] of Object.entries({ 'batch-size': batchSize, rate, workers })) {
    if (value !== undefined && !(value >= 1)) {
      throw new ElasticUmzugError('COMMAND_INVALID', `--${name} is ${value}; it is at least 1.`, {
        next: 'npx umzug es:update --help',
      })
    }
  }
  return {
    ...(batchSize !== undefined && { batchSize }),
    ...(rate !== undefined && { rate }),
    ...(workers !== undefined && { workers }),
  }
}

// What is recorded of the options: what was given, as far as JSON can say it.
function given(
  { onLine: _, signal: _signal, wait: _wait, dryRun: _dryRun, onBegin: _onBegin, joins: _joins, ...options }:
    UpdateOptions,
) {
  const entries = Object.entries(options).filter(([, each]) => each !== undefined && each !== false)
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

async function update(
  base: Base,
  run: Run,
  deps: LifecycleDeps,
  job: Job,
  choice: Choosing,
  { full = false, copy, force }: UpdateOptions,
): Promise<Version> {
  const { definition } = job
  const isPart = choice.ids !== undefined || choice.where !== undefined
  const before = job.version ?? await versionOf(deps, definition)
  if (isPart && (before === undefined || isUnfilled(before))) throw incomplete(job, before)
  const version = job.version ?? await createVersion(deps, definition)
  if (isUnfilled(version)) {
    if (choice.since !== undefined) run.say(`${version.physical}: ${version.state}, so every row is read`)
    return await fillRecorded(base, run, version, definition, { load: deps.load, copy, force })
  }
  return await refreshRecorded(base, run, version, definition, choice, { full, load: deps.load ?? {} })
}

function incomplete({ definition }: Job, version: Version | undefined): ElasticUmzugError {
  const what = version
    ? `${version.physical} is ${version.state}`
    : `index "${definition.name}" has no version of this code`
  return new ElasticUmzugError('VERSION_NOT_READY', `Rows can be chosen once a version is complete; ${what}.`, {
    next: `npx umzug es:update ${version ? `${version.index}@${version.number}` : definition.name}`,
  })
}

// One that fails does not keep the others from being brought up to date, but for what would stop them as well.
async function eachTried<In, Out>(all: readonly In[], work: (each: In) => Promise<Out>): Promise<Out[]> {
  const failures: unknown[] = []
  const results = await eachOf(all, async (each) => {
    try {
      return [await work(each)]
    } catch (error) {
      if (all.length === 1 || isOwnError(error) && ['STOPPED', 'RUN_LOCK_LOST'].includes(error.code)) throw error
      failures.push(error)
      return []
    }
  })
  if (failures.length === 0) return results.flat()
  const [first] = failures
  if (failures.length === 1) throw first
  const told = failures.map((each) => `\n- ${messageOf(each)}`).join('')
  throw new ElasticUmzugError(
    isOwnError(first) ? first.code : 'UNEXPECTED',
    `${failures.length} of ${all.length} updates failed:${told}`,
    {
      next: (isOwnError(first) && first.next) || 'npx umzug log --lines',
      cause: new AggregateError(failures),
    },
  )
}

async function plan(
  base: Base,
  names: readonly string[],
  options: UpdateOptions,
  choice: Choosing,
): Promise<string[]> {
  return await eachOf(await jobsOf(base, names, options), async ({ definition, version: named }) => {
    const lines: string[] = []
    const version = named ?? await versionOf(base, definition)
    if (version === undefined || isUnfilled(version)) {
      const rows = await definition.source.count(base.db)
      const name = version?.physical ?? `a new version of ${base.prefix}${definition.name}`
      return `${name}: would be ${version ? '' : 'created, '}populated with ${rows} rows`
    }
    const rows = await rowsOf(base.store, version, definition.source, choice, (line) => void lines.push(line))
    const what = rows.kind === 'captured'
      ? 'what waits in the queue'
      : `${await countRows(base, version, definition, rows)} rows`
    return [...lines, `${version.physical}: ${version.state}, would be updated: ${what}`].join('\n')
  })
}
