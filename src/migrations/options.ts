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
 * Names that `up` or `down` runs, in order, chosen as Umzug chooses; the options may give names with or without extension.
 * `up` to a migration that is executed already runs what is pending before it: of ten machines that are told the same, nine find
 * it done. Throws `MIGRATION_UNKNOWN`.
 */
export function chosenNames(direction: Direction, options: RunOptions, names: Names): string[] {
  if (options.migrations) return options.migrations.flatMap((each) => named(direction, each, options, names))
  const { to, step = direction === 'up' ? names.all.length : 1 } = options
  const order = direction === 'up' ? names.all : names.all.toReversed()
  const isLeft = (name: string) => isRunnable(direction, name, names)
  if (to === undefined || to === '') return order.filter(isLeft).slice(0, step)
  if (to === 0) return order.filter(isLeft)
  const last = knownName(to, names.all)
  if (direction === 'down' && !isLeft(last)) throw notExecuted(last)
  return order.slice(0, order.indexOf(last) + 1).filter(isLeft)
}

function isRunnable(direction: Direction, name: string, { executed }: Names): boolean {
  return executed.has(name) === (direction === 'down')
}

function named(direction: Direction, given: string, { rerun = 'THROW' }: RunOptions, names: Names): string[] {
  const name = knownName(given, names.all)
  if (rerun === 'ALLOW' || isRunnable(direction, name, names)) return [name]
  if (rerun === 'SKIP') return []
  throw direction === 'down' ? notExecuted(name) : new ElasticUmzugError(
    'MIGRATION_UNKNOWN',
    `${name} is executed already.`,
    { next: `npx umzug up --name ${name} --rerun ALLOW runs it again, --rerun SKIP leaves it` },
  )
}

function notExecuted(name: string): ElasticUmzugError {
  return new ElasticUmzugError('MIGRATION_UNKNOWN', `${name} is not executed, so it cannot be reverted.`, {
    next: 'npx umzug executed lists those that are',
  })
}
