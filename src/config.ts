/**
 * The config: what it may hold, where it is found, how it is checked.
 * @module
 */
import type { Sequelize } from 'sequelize'
import { faultOf } from './config-checks.ts'
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

/** Who records the changed rows of a table: Sequelize's writing methods, or triggers in the database. */
export type CaptureMode = 'hooks' | 'triggers'

/**
 * How this config has a table (`schema.name`) captured; undefined for one that neither its definitions read nor its `'*'`
 * names.
 */
export type ModeOf = (table: string) => CaptureMode | undefined

/** What is done about writes that come past the models. */
export type OnBypass = 'capture' | 'warn' | 'error'

/** What a config file exports. */
export interface Config {
  /** The application's own instance; or several, each under the name of its database: `{ default, archive }`. */
  sequelize: Sequelize | Readonly<Record<string, Sequelize>>
  /** The application's own `@elastic/elasticsearch` client; without it, SQL and data migrations only. */
  elasticsearch?: object
  /**
   * Globs of migration files, relative to the config file; or anything that Umzug's `migrations` takes. With several
   * databases by their names: `{ default: 'migrations/*', archive: 'archive/*' }`, else they are those of the first.
   */
  migrations?: string | string[] | object | ((context: never) => unknown)
  /** Where executed migrations are recorded. */
  migrationStorage?: MigrationStorage
  /** Folder with own migration templates, relative to the config file. */
  templates?: string
  /** Definitions of the search indexes. */
  indexes?: Definition[]
  /**
   * How changes are captured: of every table, or by name of the model, by `schema.table`, and `'*'` for the rest.
   * Default `hooks`. A table is left to its triggers from the moment `up` has installed them.
   */
  capture?: CaptureMode | Record<string, CaptureMode>
  /**
   * What is done about raw statements (`sequelize.query`) that write rows which documents show, where no trigger sees them:
   * recorded as far as possible (the default); left alone with a line on standard error; refused with `CAPTURE_BYPASSED`.
   */
  onBypass?: OnBypass
  /** True when triggers shall also see what logical replication writes. Default false. */
  captureReplicated?: boolean
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
  /**
   * Longest wait between two looks at the queue in milliseconds. Default 250. Too high: changes of other processes wait.
   * While there is work the wait is 20 ms; then it grows.
   */
  pollMs?: number
  /** True wakes the workers of other processes by `NOTIFY` after each commit, on a connection of its own. Default false. */
  listen?: boolean
  /** Milliseconds after which a retired version that no worker serves is given up. Default 604,800,000, seven days. */
  abandonMs?: number
  /** Retired versions of each index that stay after an activation, to go back to. Default 1; older ones are dropped. */
  keepRetired?: number
  /** Most keys of a batch. Default 500. */
  batchSize?: number
  /** Most batches, and key ranges of a populate, at work at once in a process. Default 2. */
  concurrency?: number
  /** Attempts at one document before it is aborted. Default 10. */
  maxAttempts?: number
}

/** A config over one database. */
export interface DatabaseConfig extends Config {
  /** The application's own instance. */
  sequelize: Sequelize
}

/** Whether this is one instance of Sequelize, and not several by name. */
export function isInstance(sequelize: Config['sequelize']): sequelize is Sequelize {
  return typeof (sequelize as { getQueryInterface?: unknown }).getQueryInterface === 'function'
}

/** Types a config; checks nothing, so that a config file never fails to load because of us. */
export function defineConfig(config: DatabaseConfig): DatabaseConfig
/** The same for several databases. */
export function defineConfig(config: Config): Config
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

// From the working directory upwards.
async function findConfig(runtime: Runtime, path?: string): Promise<string> {
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

/** Throws `CONFIG_INVALID` when a value cannot be used, or when it has a key that nobody reads. */
export function assertConfig(config: unknown, where: string = 'the config'): asserts config is Config {
  const fault = faultOf(config)
  if (fault) throw new ElasticUmzugError('CONFIG_INVALID', `${where}: ${fault.what}.`, { next: fault.next })
}
