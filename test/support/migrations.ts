/**
 * An application with migrations, on a database of its own.
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sequelize } from 'sequelize'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { currentRuntime } from '../../adapters/runtime.ts'
import { mendTriggers, remakeTriggers } from '../../src/capture/remake.ts'
import type { DatabaseConfig } from '../../src/config.ts'
import { createRunner, type Runner } from '../../src/migrations/runner.ts'
import { withAction } from '../../src/store/actions.ts'
import { applySchema } from '../../src/store/schema.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { temporaryApp } from './app.ts'
import { createWorld } from './world.ts'

/** What a spec works with. */
export interface App {
  readonly folder: string
  readonly databaseUrl: string
  readonly sequelize: Sequelize
  readonly store: Store
  /** Everything that was told. */
  readonly lines: string[]
  /** A runner of its own on the same folder and database. */
  runner(config?: Partial<DatabaseConfig>): Runner
  write(name: string, text: string): Promise<void>
  /** Rows of a statement. */
  rows(sql: string): Promise<Record<string, unknown>[]>
  /** Names in the history, as stored. */
  history(): Promise<string[]>
  drop(): Promise<void>
}

/** Makes one from files; `migrations/*` are its migrations. */
export async function migrationApp(files: Record<string, string>): Promise<App> {
  const [world, app] = await Promise.all([createWorld(), temporaryApp(files)])
  const { sequelize } = world
  const store = openStore(fromSequelize(sequelize), 'elastic_umzug')
  await applySchema(store)
  const lines: string[] = []
  const rows = (sql: string) => store.db.query(sql)
  return {
    folder: app.folder,
    databaseUrl: world.databaseUrl,
    sequelize,
    store,
    lines,
    rows,
    runner: (config = {}) =>
      makeRunner(
        { sequelize, migrations: 'migrations/*', ...config },
        app.folder,
        config.sequelize ? openStore(fromSequelize(config.sequelize), store.schema) : store,
        (line) => void lines.push(line),
      ),
    write: (name, text) => writeFile(join(app.folder, name), text),
    history: async () => (await rows('SELECT name FROM "SequelizeMeta" ORDER BY 1')).map((each) => String(each.name)),
    async drop() {
      await world.drop()
      await app.remove()
    },
  }
}

function makeRunner(config: DatabaseConfig, folder: string, store: Store, onLine: (line: string) => void): Runner {
  const runtime = currentRuntime()
  const origin = { commandLine: 'spec', user: 'spec', host: 'spec', pid: runtime.pid }
  return createRunner({
    config,
    folder,
    store,
    runtime,
    context: () => ({ elastic: { marker: 'elastic' }, data: { marker: 'data' } }),
    exclusive: (action, work) =>
      withAction(store, { action, origin, clock: runtime.clock, exclusive: true, onLine }, work),
    remake: (tx) => remakeTriggers(store, tx),
    mend: () => mendTriggers({ store, clock: runtime.clock, onLine }),
    onLine,
  })
}

/** The error that the work throws; throws when it throws none. */
export async function failureOf(work: Promise<unknown>): Promise<Error & { code?: string; next?: string }> {
  try {
    await work
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
