/**
 * `up` and `down`: everything a deploy changes, as one recorded action under the run lock.
 * @module
 */
import { mendTriggers, remakeTriggers } from '../capture/remake.ts'
import { ElasticUmzugError, isOwnError } from '../errors.ts'
import { createRunner, type Runner } from '../migrations/runner.ts'
import { checkCluster } from '../search/physical.ts'
import type { Converged } from '../search/lifecycle.ts'
import { applySchema, isApplied } from '../store/schema.ts'
import type { Base, CommandOptions, Run } from './base.ts'
import { assertTriggersPossible, dismissTriggers, planTriggers, prepareTriggers } from './capture.ts'
import { convergeIndexes, indexCommands } from './indexes.ts'
import { tellOff } from './off.ts'
import { planIndexes, type Step } from './plan-indexes.ts'

/** Umzug's options of `up`. */
export type MigrateUpOptions = NonNullable<Parameters<Runner['up']>[0]>

/** Umzug's options of `down`. */
export type MigrateDownOptions = NonNullable<Parameters<Runner['down']>[0]>

/** Options of `up`. */
export interface UpOptions extends CommandOptions {
  /** Which SQL migrations; default all pending ones. */
  migrate?: MigrateUpOptions
  /** False leaves the search indexes alone. */
  search?: boolean
  /** False prepares versions until they are ready, and does not move the alias. */
  activate?: boolean
}

/** What `up` did. */
export interface UpResult {
  /** Names of the applied migrations. */
  migrations: string[]
  /** What became of each defined index. */
  indexes: Converged[]
}

/** Creates and upgrades the own tables. Throws `DATABASE_VERSION` before PostgreSQL 13. */
export async function prepare({ db, store }: Base): Promise<void> {
  const [row] = await db.query<{ version: number }>(`SELECT current_setting('server_version_num')::int AS version`)
  if (row!.version < 130_000) {
    throw new ElasticUmzugError(
      'DATABASE_VERSION',
      `PostgreSQL at ${db.label} is version ${Math.floor(row!.version / 10_000)}.`,
      {
        next: 'use PostgreSQL 13 or newer',
      },
    )
  }
  await applySchema(store)
}

/** The runner of SQL migrations; with `within` it takes part in an action that already holds the run lock. */
export function migrationRunner(base: Base, options: CommandOptions = {}, within?: Run): Runner {
  const { config, folder, store, runtime } = base
  let current = within
  const onLine = (line: string) => (current?.say ?? options.onLine ?? (() => {}))(line)
  return createRunner({
    config,
    folder,
    store,
    runtime,
    context: () => ({ elastic: indexCommands(base, current), data: {} }),
    async exclusive(name, work) {
      if (within) return await work(within.action)
      await prepare(base)
      return await base.run(name, options, async (run) => {
        current = run
        return await capturing(base, () => work(run.action))
      }).finally(() => current = undefined)
    },
    remake: (tx) => remakeTriggers(store, tx),
    // The migration is done: stopped here, the next run sees to its triggers.
    mend: () =>
      mendTriggers({ store, clock: runtime.clock, onLine, signal: current?.signal }).catch((error) => {
        if (!isOwnError(error) || error.code !== 'STOPPED') throw error
      }),
    onLine,
  })
}

/** Own tables, pending SQL migrations, then the search indexes. A killed run is gone on with by the next one. */
export async function up(base: Base, options: UpOptions = {}): Promise<UpResult> {
  const searching = searches(base, options)
  await prepare(base)
  return await base.run('up', options, (run) =>
    capturing(base, async () => {
      // Before the first migration: a deploy that cannot be finished is better not begun.
      if (searching) await checkCluster(base.needSearch())
      const runner = migrationRunner(base, options, run)
      // What is not possible now may be after a migration: then it is told when that was applied.
      const isPending = (await runner.plan('up', options.migrate)).length > 0
      if (searching && !isPending) await assertTriggersPossible(base)
      const applied = await runner.up(options.migrate)
      const indexes = searching ? await convergeCaptured(base, run, options.activate ?? true) : []
      return { migrations: applied.map((each) => each.name), indexes }
    }))
}

function searches({ off, runtime, definitions }: Base, { search = true }: UpOptions): boolean {
  const searching = search && definitions.length > 0
  if (searching && off) tellOff(runtime)
  return searching && !off
}

// A version has what is recorded by triggers from its registration on; who does not need them any more comes last.
async function convergeCaptured(base: Base, run: Run, activate: boolean): Promise<Converged[]> {
  await prepareTriggers(base, run)
  const indexes = await convergeIndexes(base, run, activate)
  await dismissTriggers(base, run)
  return indexes
}

/** Reverts SQL migrations; search indexes stay as they are. */
export async function down(base: Base, migrate: MigrateDownOptions, options: CommandOptions = {}): Promise<string[]> {
  const reverted = await migrationRunner(base, options).down(migrate)
  return reverted.map((each) => each.name)
}

/** What `up` would do, a line each; changes nothing. */
export async function planUp(base: Base, options: UpOptions = {}): Promise<string[]> {
  const names = await migrationRunner(base, options).plan('up', options.migrate)
  const searching = searches(base, options)
  const steps: Step[] = options.activate === false ? ['created', 'populated'] : ['created', 'populated', 'activated']
  const indexes = searching ? await planIndexes(base, base.definitions, steps, !(await isApplied(base.store))) : []
  const triggers = searching ? await planTriggers(base) : []
  return [...names.map((name) => `${name}: would be applied`), ...indexes, ...triggers]
}

/** What `down` would do, a line each; changes nothing. */
export async function planDown(base: Base, migrate: MigrateDownOptions): Promise<string[]> {
  const names = await migrationRunner(base).plan('down', migrate)
  return names.map((name) => `${name}: would be reverted`)
}

// Migrations write rows through the application's models: those changes have to reach the indexes too.
async function capturing<T>({ capture, definitions, store }: Base, work: () => Promise<T>): Promise<T> {
  const uninstall = capture(definitions, store.schema, () => {})
  try {
    return await work()
  } finally {
    uninstall()
  }
}
