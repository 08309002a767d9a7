/**
 * Which migrations Umzug's options mean.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Direction } from './failure.ts'
import { knownName } from './names.ts'

/** Umzug's options of `up` and `down`. */
export interface RunOptions {
  to?: string | 0 | undefined
  step?: number | undefined
  migrations?: string[] | undefined
  rerun?: 'THROW' | 'SKIP' | 'ALLOW' | undefined
}

/** Names in running order, and which of them are executed. */
export interface Names {
  all: readonly string[]
  executed: ReadonlySet<string>
}

/**
 * The options with full names, given with or without extension.
 * `up` to a migration that is executed already runs what is pending before it: of ten machines that are told the same, nine find it done.
 * Throws `MIGRATION_UNKNOWN`.
 */
export function resolveOptions(direction: Direction, options: RunOptions, names: Names): RunOptions {
  const { to, migrations, ...rest } = options
  if (migrations) {
    return {
      ...rest,
      migrations: migrations.map((each) => runnableName(direction, each, options, names)),
    }
  }
  if (!to) return options
  const name = knownName(to, names.all)
  const isExecuted = names.executed.has(name)
  if (direction === 'up' && isExecuted) {
    const before = names.all.slice(0, names.all.indexOf(name))
    return { step: before.filter((each) => !names.executed.has(each)).length }
  }
  if (direction === 'down' && !isExecuted) throw notExecuted(name)
  return { ...rest, to: name }
}

function runnableName(direction: Direction, given: string, { rerun = 'THROW' }: RunOptions, names: Names): string {
  const name = knownName(given, names.all)
  if (rerun !== 'THROW' || names.executed.has(name) === (direction === 'down')) return name
  throw direction === 'down'
    ? notExecuted(name)
    : new ElasticUmzugError('MIGRATION_UNKNOWN', `${name} is executed already.`, {
      next: `npx umzug up --name ${name} --rerun ALLOW runs it again, --rerun SKIP leaves it`,
    })
}

function notExecuted(name: string): ElasticUmzugError {
  return new ElasticUmzugError('MIGRATION_UNKNOWN', `${name} is not executed, so it cannot be reverted.`, {
    next: 'npx umzug executed lists those that are',
  })
}
