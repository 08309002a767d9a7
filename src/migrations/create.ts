/**
 * Where a new migration file goes and what it is called.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { folderOf } from './files.ts'
import type { LoaderDeps } from './loader.ts'
import type { MigrationId } from './context.ts'

/** Umzug's options of `create`, with the template. */
export interface CreateOptions {
  /** Name with its extension. */
  name: string
  /** Where; default beside the last migration. */
  folder?: string | undefined
  /** What is put before the name. */
  prefix?: 'TIMESTAMP' | 'DATE' | 'NONE'
  /** Another extension than those of migrations. */
  allowExtension?: string
  /** Allows a name that sorts before an existing one. */
  allowConfusingOrdering?: boolean
  /** Does not check that the file is found as pending. */
  skipVerify?: boolean
  /** Text of the file, instead of a template. */
  content?: string
  /** `search`, `sql`, `umzug`, or one of the project's own. */
  template?: string | undefined
}

/** The options with folder and name filled in from what the project has. Throws `COMMAND_INVALID` when nothing tells the folder. */
export function fillIn(options: CreateOptions, existing: readonly MigrationId[], deps: LoaderDeps): CreateOptions {
  const last = existing.at(-1)
  return {
    ...options,
    ...stamped(options, last),
    folder: options.folder ?? (last?.path ? undefined : firstFolder(deps)),
  }
}

// Where names begin like sequelize-cli's (20240131235959-name.js), Umzug's own (2024.01.31T23.59.59.name.js) would sort before them.
function stamped({ name, prefix = 'TIMESTAMP' }: CreateOptions, last: MigrationId | undefined): Partial<CreateOptions> {
  const separator = /^\d{14}([-_.])/.exec(last?.name ?? '')?.[1]
  if (prefix !== 'TIMESTAMP' || separator === undefined) return {}
  const time = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  return { prefix: 'NONE', name: `${time}${separator}${name}` }
}

function firstFolder({ config: { migrations }, folder, runtime }: LoaderDeps): string {
  const glob = Array.isArray(migrations)
    ? migrations[0]
    : (migrations as { glob?: unknown } | undefined)?.glob ?? migrations
  const [pattern, options] = (Array.isArray(glob) ? glob : [glob]) as [unknown, { cwd?: string }?]
  if (typeof pattern === 'string') return folderOf(runtime, runtime.resolve(folder, options?.cwd ?? '.'), pattern)
  throw new ElasticUmzugError('COMMAND_INVALID', 'Nothing tells in which folder migrations are.', {
    next: "give --folder, or set migrations: 'migrations/*.{ts,js,sql}' in the config file",
  })
}

/** An error of Umzug's `create`, with a code. */
export function createFailed(error: unknown): unknown {
  if (!(error instanceof Error) || error.constructor !== Error) return error
  const [what, next] = error.message.split(/(?<=\.) (?=Use \w+ to bypass)/)
  return new ElasticUmzugError('COMMAND_INVALID', what!, { ...(next && { next }), cause: error })
}
