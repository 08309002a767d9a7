/**
 * The config: what it may hold, where it is found, how it is checked.
 * @module
 */
import type { Sequelize } from 'sequelize'
import { ElasticUmzugError, isOwnError, messageOf } from './errors.ts'
import type { Runtime } from './ports.ts'
import type { Definition } from './search/definition.ts'

/** Where executed migrations are recorded, for applications that changed it in sequelize-cli or Umzug. */
export interface MigrationStorage {
  /** Default `SequelizeMeta`. */
  tableName?: string
  /** Default: the connection's own. */
  schema?: string
  /** Default `name`. */
  columnName?: string
}

/** What a config file exports. */
export interface Config {
  /** The application's own instance. */
  sequelize: Sequelize
  /** The application's own `@elastic/elasticsearch` client; without it, SQL and data migrations only. */
  elasticsearch?: object
  /** Globs of migration files, relative to the config file; or anything that Umzug's `migrations` takes. */
  migrations?: string | string[] | object | ((context: never) => unknown)
  /** Where executed migrations are recorded. */
  migrationStorage?: MigrationStorage
  /** Folder with own migration templates, relative to the config file. */
  templates?: string
  /** Definitions of the search indexes. */
  indexes?: Definition[]
  /** Put before every physical name and alias, so that environments can share a cluster. */
  prefix?: string
  /** Schema of the own tables. Default `elastic_umzug`. */
  schema?: string
  /** Build id, recorded on versions and actions. */
  tag?: string
  /** Modules loaded before migrations are: what `.js` files need to be compiled, say `@babel/register`. */
  require?: string[]
  /** Length of a claim in milliseconds. Default 30,000. Too low: large batches run out of time; too high: a crash delays its keys. */
  leaseMs?: number
  /** Longest wait between two looks at the queue in milliseconds. Default 250. Too high: changes of other processes wait. */
  pollMs?: number
  /** Most keys of a batch. Default 500. */
  batchSize?: number
  /** Batches, and key ranges of a populate, at work at once in a process. Default 2. */
  concurrency?: number
  /** Attempts at one document before it is aborted. Default 10. */
  maxAttempts?: number
}

/** Types a config; checks nothing, so that a config file never fails to load because of us. */
export function defineConfig(config: Config): Config {
  return config
}

/** A config with the file it came from. */
export interface LoadedConfig {
  config: Config
  /** Folder that globs are relative to. */
  folder: string
  path: string
}

const extensions = ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs']

/** Finds `umzug.config.*` from the working directory upwards. Throws `CONFIG_NOT_FOUND`. */
export async function findConfig(runtime: Runtime, path?: string): Promise<string> {
  if (path !== undefined) {
    const named = runtime.resolve(path)
    if (await runtime.exists(named)) return named
    throw new ElasticUmzugError('CONFIG_NOT_FOUND', `There is no config file ${path}.`, { next: 'correct --config' })
  }
  for (let folder = runtime.cwd();;) {
    for (const extension of extensions) {
      const candidate = runtime.resolve(folder, `umzug.config.${extension}`)
      if (await runtime.exists(candidate)) return candidate
    }
    const parent = runtime.dirname(folder)
    if (parent === folder) break
    folder = parent
  }
  throw new ElasticUmzugError(
    'CONFIG_NOT_FOUND',
    `There is no umzug.config.{${extensions.join(',')}} in ${runtime.cwd()} or above it.`,
    { next: 'create umzug.config.ts as the README shows, or name it: npx umzug --config PATH …' },
  )
}

/** Loads and checks the config. Throws `CONFIG_NOT_FOUND`, `CONFIG_FAILED` or `CONFIG_INVALID`. */
export async function loadConfig(runtime: Runtime, path?: string): Promise<LoadedConfig> {
  const found = await findConfig(runtime, path)
  const config = await readConfig(runtime, found).catch((error) => failed(found, error))
  assertConfig(config, found)
  return { config, path: found, folder: runtime.dirname(found) }
}

async function readConfig(runtime: Runtime, path: string): Promise<unknown> {
  const loaded = await runtime.load(path)
  if (!('default' in loaded) && !('sequelize' in loaded)) {
    throw new ElasticUmzugError('CONFIG_INVALID', `${path} has no default export.`, {
      next: 'export default defineConfig({ … })',
    })
  }
  const exported = unwrap(loaded)
  return typeof exported === 'function' ? await (exported as () => unknown)() : exported
}

// What `defineIndex` refuses while the file runs says itself what is wrong.
function failed(path: string, error: unknown): never {
  if (isOwnError(error)) throw error
  throw new ElasticUmzugError(
    'CONFIG_FAILED',
    `The config file ${path} could not be loaded: ${messageOf(error)}`,
    {
      // Node does not tell the place of a syntax error to a program.
      next: error instanceof SyntaxError
        ? `correct its syntax; ${/ts$/.test(path) ? 'npx tsc --noEmit' : 'node --check'} ${path} shows the line`
        : 'correct what it says; --verbose shows where',
      cause: error,
    },
  )
}

// A CommonJS module that was compiled from ESM has its default export one level deeper.
function unwrap(loaded: Record<string, unknown>): unknown {
  const first = loaded.default ?? loaded
  return (first as { default?: unknown }).default ?? first
}

/** Throws `CONFIG_INVALID` when a value cannot be used. */
export function assertConfig(config: unknown, where: string = 'the config'): asserts config is Config {
  const fail = (what: string, next: string): never => {
    throw new ElasticUmzugError('CONFIG_INVALID', `${where}: ${what}.`, { next })
  }
  if (typeof config !== 'object' || config === null) {
    return fail(
      `it exports ${config === null ? 'null' : typeof config}, not an object`,
      'export default defineConfig({ … })',
    )
  }
  const { sequelize, elasticsearch, indexes, prefix } = config as Partial<Config>
  const methods = ['query', 'define', 'getQueryInterface'] as const
  if (
    !methods.every((each) =>
      typeof (sequelize as unknown as Record<string, unknown> | undefined)?.[each] === 'function'
    )
  ) {
    fail('`sequelize` is not a Sequelize instance', "give the application's own: sequelize: new Sequelize(…)")
  }
  const dialect = (sequelize as unknown as { getDialect?: () => string }).getDialect?.()
  if (dialect !== undefined && dialect !== 'postgres') {
    fail(`\`sequelize\` speaks ${dialect}`, 'use an instance with dialect: "postgres"')
  }
  if (elasticsearch !== undefined && !isClient(elasticsearch)) {
    fail('`elasticsearch` is not a client', "give one: elasticsearch: new Client({ node }) of '@elastic/elasticsearch'")
  }
  if (indexes !== undefined && !(Array.isArray(indexes) && indexes.every((each) => typeof each?.hash === 'string'))) {
    fail('`indexes` is not an array of definitions', 'make each with defineIndex({ … })')
  }
  if (indexes?.length && elasticsearch === undefined) {
    fail('`indexes` are defined, but there is no `elasticsearch`', 'add elasticsearch: new Client({ node })')
  }
  if (prefix !== undefined && !/^(?:[a-z0-9][a-z0-9_-]*)?$/.test(prefix)) {
    fail(`the prefix "${prefix}" is not lower-case letters, digits, _ and -`, 'correct `prefix`')
  }
  // Elasticsearch takes names of 255 bytes; a definition's own may have 200.
  if (prefix !== undefined && prefix.length > 40) {
    fail(`the prefix "${prefix}" is longer than 40 characters`, 'shorten `prefix`')
  }
  for (const name of numbers) {
    const value = (config as Partial<Config>)[name]
    if (value === undefined || (Number.isInteger(value) && value > 0)) continue
    fail(`\`${name}\` is ${String(value)}`, `give \`${name}\` a whole number above 0, or leave it out`)
  }
}

const numbers = ['leaseMs', 'pollMs', 'batchSize', 'concurrency', 'maxAttempts'] as const

function isClient(value: object): boolean {
  return typeof (value as { transport?: { request?: unknown } }).transport?.request === 'function'
}
