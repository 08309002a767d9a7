/**
 * SQL migrations: Umzug, with a run lock, a record of every run, and names compared without extension.
 * The only file that imports umzug.
 * @module
 */
import { MigrationError, type RunnableMigration, Umzug, UmzugCLI, type UmzugStorage } from 'umzug'
import type { DatabaseConfig } from '../config.ts'
import type { Queryable, Runtime } from '../ports.ts'
import type { Action } from '../store/actions.ts'
import type { Store } from '../store/store.ts'
import { type ContextExtras, createContext, type MigrationContext } from './context.ts'
import { createFailed, type CreateOptions, fillIn } from './create.ts'
import type { Direction } from './failure.ts'
import { addName, executedNames, type History, openHistory, removeName } from './history.ts'
import { listMigrations, type Migration, patternsOf } from './loader.ts'
import { stemOf } from './names.ts'
import { chosenNames, type Names, type RunOptions } from './options.ts'
import { checksumsOf, endRecord, listRecords } from './records.ts'
import { reportLines } from './report.ts'
import { type RunState, runStep, type StepDeps } from './step.ts'
import { newFiles, templateParameter } from './templates.ts'

export { CreateAction, DownAction, ListAction, UmzugCLI, UpAction } from 'umzug'
export { templateParameter } from './templates.ts'
export type { CreateOptions } from './create.ts'
export type { Direction } from './failure.ts'
export type { ContextExtras, MigrationArgument, MigrationContext, MigrationFunction, MigrationId } from './context.ts'

/** What the runner works with. */
export interface RunnerDeps {
  config: DatabaseConfig
  /** Folder that globs are relative to. */
  folder: string
  store: Store
  runtime: Runtime
  /** What migrations get beside the QueryInterface. */
  context: () => ContextExtras
  /** Runs the work as one recorded action under the run lock, or within one that holds it. */
  exclusive<T>(name: Direction, work: (action: Action) => Promise<T>): Promise<T>
  /** Called in the transaction of whatever may rename or drop columns or tables: makes anew what is generated for them. */
  remake(tx: Queryable): Promise<void>
  /** Makes it anew by itself, when the caller of `remake` could not. */
  mend(): Promise<void>
  onLine(line: string): void
}

/** Umzug's options of `up`. */
export type UpOptions = NonNullable<Parameters<Umzug['up']>[0]>

/** Umzug's options of `down`. */
export type DownOptions = NonNullable<Parameters<Umzug['down']>[0]>

/** Makes a runner; connects to nothing yet. */
export function createRunner(deps: RunnerDeps): Runner {
  return new Runner({ ...deps, db: deps.store.db }, newRun(undefined), openHistory(deps.config))
}

function newRun(action: Action | undefined): RunState {
  return { action, done: [], executed: new Set(), checksum: null }
}

interface Parts extends RunnerDeps, StepDeps {}

/** What a new file is made from. */
interface Template {
  /** Set by each `create`. */
  name?: string | undefined
  named?: () => string | undefined
}

/** A real Umzug: scripts with `runAsCLI()` go on working. */
export class Runner extends Umzug<object> {
  readonly #deps: Parts
  readonly #state: RunState
  readonly #history: History
  readonly #template: Template

  /** Use `createRunner`. */
  constructor(deps: Parts, state: RunState, history: History, template: Template = {}) {
    super({
      context: () => contextOf(deps),
      migrations: async (context: object) =>
        (await listMigrations(deps, context as MigrationContext)).map((each) => runnable(deps, state, each)),
      storage: createStorage(deps, state, history),
      logger: createLogger(deps.onLine),
      create: { template: (path) => newFiles(path, templateOptions(deps, template)) },
    })
    this.#deps = deps
    this.#state = state
    this.#history = history
    this.#template = template
  }

  /**
   * Applies migrations under the run lock, each recorded before the next one starts. First tells of those that were interrupted,
   * edited after they ran, late or archived. Throws `MIGRATION_FAILED`, `MIGRATION_INVALID`, `MIGRATION_UNKNOWN` or `RUN_LOCK_LOST`.
   */
  override up(options: UpOptions = {}): ReturnType<Umzug['up']> {
    return this.#exclusive('up', async () => {
      const known = await this.#look()
      for (const line of known.lines) this.#deps.onLine(line)
      return await super.up({ migrations: chosenNames('up', options as RunOptions, known), rerun: 'ALLOW' })
    })
  }

  /** Reverts migrations under the run lock. Throws as `up` does. */
  override down(options: DownOptions = {}): ReturnType<Umzug['down']> {
    return this.#exclusive('down', async () => {
      const migrations = chosenNames('down', options as RunOptions, await this.#look())
      return await super.down({ migrations, rerun: 'ALLOW' })
    })
  }

  /** Names that `up` or `down` with these options would run, in order; changes nothing. Throws `MIGRATION_UNKNOWN`. */
  async plan(direction: Direction, options: UpOptions | DownOptions = {}): Promise<string[]> {
    return chosenNames(direction, options as RunOptions, await this.#names())
  }

  /** Writes a new migration file from a template. Throws `COMMAND_INVALID`. */
  override async create(options: CreateOptions): Promise<void> {
    const { template, ...filled } = fillIn(options, await this.#list(), this.#deps)
    this.#template.name = template ?? this.#template.named?.()
    await super.create(filled as Parameters<Umzug['create']>[0]).catch((error) => {
      throw createFailed(error)
    })
  }

  /** Tells the template of every `create` that names none itself. */
  useTemplate(named: () => string | undefined): void {
    this.#template.named = named
  }

  /** Lines on interrupted, edited, late and archived migrations: what `up` tells first. Needs the own tables. */
  async report(): Promise<string[]> {
    return (await this.#look()).lines
  }

  /** The command line of `runAsCLI()`. */
  protected override getCli(options?: ConstructorParameters<typeof UmzugCLI>[1]): UmzugCLI {
    return new RunnerCLI(this, options)
  }

  async #exclusive<T>(name: Direction, work: () => Promise<T>): Promise<T> {
    return await this.#deps.exclusive(name, async (action) => {
      Object.assign(this.#state, newRun(action))
      return await work().catch((error) => {
        // Ours is inside: it names file, reason and next step.
        throw error instanceof MigrationError ? error.cause : error
      })
    })
  }

  async #list(): Promise<Migration[]> {
    return await listMigrations(this.#deps, contextOf(this.#deps))
  }

  async #names(): Promise<Names & { migrations: Migration[]; stored: string[] }> {
    const migrations = await this.#list()
    const stored = await executedNames(this.#deps.store.db, this.#history)
    const all = migrations.map((each) => each.name)
    return { migrations, stored, all, executed: new Set(asListed(stored, migrations)) }
  }

  async #look(): Promise<Names & { lines: string[] }> {
    const { migrations, stored, ...names } = await this.#names()
    this.#state.executed = names.executed
    const records = await listRecords(this.#deps.store)
    const checksums = await checksumsOf(this.#deps.runtime, migrations, records)
    const patterns = patternsOf(this.#deps)
    return { ...names, lines: reportLines({ patterns, migrations, executed: stored, records, checksums }) }
  }
}

/** Umzug's command line over a runner, with `create --template`. */
class RunnerCLI extends UmzugCLI {
  /** Takes the runner and Umzug's options. */
  constructor(runner: Runner, options?: ConstructorParameters<typeof UmzugCLI>[1]) {
    super(runner, options)
    const template = this.getAction('create').defineStringParameter(templateParameter)
    runner.useTemplate(() => template.value)
  }
}

function contextOf(deps: Parts): MigrationContext {
  return createContext(deps.config.sequelize, deps.context(), deps)
}

function runnable(deps: Parts, state: RunState, migration: Migration): RunnableMigration<object> {
  const { name, path } = migration
  return {
    name,
    ...(path !== undefined && { path }),
    up: ({ context }) => runStep(deps, state, 'up', migration, context as MigrationContext),
    down: ({ context }) => runStep(deps, state, 'down', migration, context as MigrationContext),
  }
}

function createStorage(deps: Parts, state: RunState, history: History): UmzugStorage<object> {
  const { store } = deps
  const settle = async (name: string, count: string, change: typeof addName, checksum: string | null) => {
    // Together: a crash leaves a migration either interrupted or executed, never neither.
    await store.db.transaction(async (tx) => {
      await change(tx, history, name)
      await endRecord(tx, store, name, checksum)
    })
    state.done.push(name)
    state.action?.count(count, 1)
  }
  return {
    logMigration: ({ name }) => settle(name, 'applied', addName, state.checksum),
    unlogMigration: ({ name }) => settle(name, 'reverted', removeName, null),
    async executed({ context }) {
      return asListed(await executedNames(store.db, history), await listMigrations(deps, context as MigrationContext))
    },
  }
}

// Umzug compares names as they are: those of the history are given as the files are called now.
function asListed(executed: readonly string[], migrations: readonly Migration[]): string[] {
  const byStem = new Map(migrations.map((each) => [stemOf(each.name), each.name]))
  return executed.map((each) => byStem.get(stemOf(each)) ?? each)
}

function templateOptions({ config, folder, runtime }: Parts, template: Template) {
  return {
    runtime,
    folder: config.templates === undefined ? undefined : runtime.resolve(folder, config.templates),
    template: template.name,
    index: config.indexes?.[0]?.name ?? 'books',
  }
}

function createLogger(onLine: (line: string) => void) {
  const log = (message: Record<string, unknown>) => onLine(lineOf(message))
  return { info: log, warn: log, error: log, debug: () => {} }
}

function lineOf({ event, name, message, path, durationSeconds }: Record<string, unknown>): string {
  if (message !== undefined) return String(message)
  const time = typeof durationSeconds === 'number' ? ` (${durationSeconds.toFixed(1)} s)` : ''
  return `${event} ${name ?? path ?? ''}${time}`
}
