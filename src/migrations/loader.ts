/**
 * Makes migrations of what the config gives: files, objects, or anything that Umzug takes.
 * @module
 */
import type { DatabaseConfig } from '../config.ts'
import { ElasticUmzugError, messageOf } from '../errors.ts'
import type { Runtime } from '../ports.ts'
import type { Remaking } from './altering.ts'
import type { MigrationContext, MigrationFunction, MigrationId } from './context.ts'
import { assertDistinct, downFileOf, matchFiles, onlyMigrations } from './files.ts'
import { hasUp, loadMigration, type MigrationModule } from './module.ts'
import { baseName } from './names.ts'
import { runSqlFile } from './sql-file.ts'

/** A migration ready to be run. */
export interface Migration extends MigrationId {
  /** What has to be there before it is loaded. Throws `CONFIG_FAILED`. */
  prepare?(): Promise<void>
  up(...both: Parameters<MigrationFunction>): unknown
  /** Gives false when there was nothing to run. */
  down(...both: Parameters<MigrationFunction>): Promise<boolean>
}

/** What the loader needs. */
export interface LoaderDeps extends Remaking {
  config: DatabaseConfig
  folder: string
  runtime: Runtime
}

/** Umzug's `{ glob, resolve }`. */
interface GlobInput {
  glob: string | [string, { cwd?: string; ignore?: string | string[] }]
  resolve?: (id: MigrationId & { context: MigrationContext }) => MigrationModule & Partial<MigrationId>
}

/** Every migration in running order; none is loaded yet. Throws `MIGRATION_INVALID` or `CONFIG_INVALID`. */
export async function listMigrations(deps: LoaderDeps, context: MigrationContext): Promise<Migration[]> {
  const migrations = await fromInput(deps, deps.config.migrations, context)
  assertDistinct(migrations)
  return migrations
}

/** The globs that the config gives; none where it gives migrations themselves. */
export function patternsOf({ config: { migrations } }: LoaderDeps): string[] {
  const given = (migrations as { glob?: unknown } | undefined)?.glob ?? migrations
  return [given].flat().filter((each) => typeof each === 'string')
}

async function fromInput(deps: LoaderDeps, input: unknown, context: MigrationContext): Promise<Migration[]> {
  if (input === undefined) return []
  if (typeof input === 'string') return await fromGlobs(deps, [input])
  if (typeof input === 'function') return await fromInput(deps, await input(context), context)
  if (Array.isArray(input)) {
    return input.every((each) => typeof each === 'string') ? await fromGlobs(deps, input) : input.map(fromObject)
  }
  if (typeof input === 'object' && input !== null && 'glob' in input) {
    return await fromGlobInput(deps, input as GlobInput, context)
  }
  throw new ElasticUmzugError('CONFIG_INVALID', '`migrations` is not what Umzug takes.', {
    next: "give globs: migrations: 'migrations/*.{ts,js,sql}'",
  })
}

async function fromGlobs(deps: LoaderDeps, patterns: readonly string[]): Promise<Migration[]> {
  const paths = await matchFiles(deps.runtime, patterns, { cwd: deps.folder })
  return onlyMigrations(paths).map((path) => fromFile(deps, path))
}

async function fromGlobInput(
  deps: LoaderDeps,
  { glob, resolve }: GlobInput,
  context: MigrationContext,
): Promise<Migration[]> {
  const [pattern, { cwd = '.', ignore = [] }] = Array.isArray(glob) ? glob : [glob, {}]
  const options = { cwd: deps.runtime.resolve(deps.folder, cwd), ignore: [ignore].flat() }
  const paths = await matchFiles(deps.runtime, [pattern], options)
  if (!resolve) return onlyMigrations(paths).map((path) => fromFile(deps, path))
  return paths.map((path) =>
    fromObject({ path, name: baseName(path), ...resolve({ path, name: baseName(path), context }) })
  )
}

function fromObject(given: unknown): Migration {
  const { name, path } = given as Partial<MigrationId>
  if (!hasUp(given) || typeof name !== 'string') {
    throw new ElasticUmzugError(
      'MIGRATION_INVALID',
      `The migration ${name ?? String(given)} of the config has no \`up\` or no name.`,
      {
        next: 'give each as { name, up, down }',
      },
    )
  }
  return { name, path, up: (...both) => given.up(...both), down: (...both) => runDown(given, both) }
}

async function runDown(owner: MigrationModule, both: Parameters<MigrationFunction>): Promise<boolean> {
  if (typeof owner.down !== 'function') return false
  await owner.down(...both)
  return true
}

function fromFile(deps: LoaderDeps, path: string): Migration {
  return path.endsWith('.sql') ? fromSql(deps, path) : fromModule(deps, path)
}

function fromModule(deps: LoaderDeps, path: string): Migration {
  // Loaded when its turn comes, as Umzug and sequelize-cli do: what it does at import time may need those before it.
  const load = () => loadMigration(deps.runtime, path)
  return {
    name: baseName(path),
    path,
    prepare: () => preload(deps),
    up: async (...both) => (await load()).up(...both),
    down: async (...both) => await runDown(await load(), both),
  }
}

async function preload({ runtime, config, folder }: LoaderDeps): Promise<void> {
  for (const each of config.require ?? []) {
    // Packages are found from the working directory, files from the config file.
    await runtime.preload([each.startsWith('.') ? runtime.resolve(folder, each) : each]).catch((error) => {
      // Node adds the files that required it, a line each.
      const [reason] = messageOf(error).split('\n')
      throw new ElasticUmzugError('CONFIG_FAILED', `\`require\` of the config names ${each}: ${reason}`, {
        next: 'install it, or correct `require` in the config file',
        cause: error,
      })
    })
  }
}

function fromSql(deps: LoaderDeps, path: string): Migration {
  const { runtime } = deps
  return {
    name: baseName(path),
    path,
    up: async () => await runSqlFile(deps, path, await runtime.readText(path)),
    async down() {
      const file = await downFileOf(runtime, path)
      if (file === undefined) return false
      await runSqlFile(deps, file, await runtime.readText(file))
      return true
    },
  }
}
