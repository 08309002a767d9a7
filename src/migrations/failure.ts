/**
 * What is said of a migration that threw.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { redact } from '../redact.ts'

/** The way a migration is run. */
export type Direction = 'up' | 'down'

/** The members of PostgreSQL's errors, and of those wrapped around them, that are used. */
interface ErrorLike {
  message?: string
  detail?: string
  hint?: string
  position?: string
  where?: string
  sql?: string
  parent?: ErrorLike
  errors?: ErrorLike[]
}

/** Reason in one line: PostgreSQL's own message with place, detail and hint, from under whatever wraps it. */
export function describeError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return `it threw ${String(error)}`
  const outer = error as ErrorLike
  const { message, errors, position, sql = outer.sql, detail, where, hint } = outer.parent ?? outer
  return [
    message || (errors ?? []).map(describeError).join('; ') || String(error),
    position && placeOf(Number(position), sql),
    detail && `detail: ${detail}`,
    where && `where: ${where.split('\n')[0]}`,
    hint && `hint: ${hint}`,
  ].filter(Boolean).join('; ')
}

// PostgreSQL counts characters, JavaScript halves of those beyond the 65,536th.
function placeOf(position: number, sql: string | undefined): string {
  if (sql === undefined) return `at character ${position}`
  const lines = [...sql].slice(0, position).join('').split('\n')
  return `at line ${lines.length}, column ${[...lines.at(-1)!].length}`
}

/** What is known of a failed migration. */
export interface Failure {
  name: string
  /** Path of the file, or the name. */
  where: string
  direction: Direction
  /** Whether the history has it, and goes on having it. */
  executed: boolean
  /** Names that went through before it, in this run. */
  done: readonly string[]
  error: unknown
}

/** The error for a migration that threw; the thrown value is its cause. Passwords in messages are hidden. */
export function migrationFailed(failure: Failure): ElasticUmzugError {
  const { where, direction, executed, done, error } = failure
  const [verb, past] = direction === 'up' ? ['apply', 'applied'] : ['revert', 'reverted']
  const before = done.length === 0 ? `Nothing was ${past} before it.` : `Before it ${past}: ${done.join(', ')}.`
  const record = executed ? 'It is still recorded as executed.' : 'It is not recorded as executed.'
  const reason = redact(describeError(error))
  return new ElasticUmzugError('MIGRATION_FAILED', `Could not ${verb} ${where}: ${reason}. ${record} ${before}`, {
    next: nextStep(failure),
    cause: error,
  })
}

function nextStep({ name, direction, executed }: Failure): string {
  // Without it Umzug runs no migration that is where the command leads.
  const rerun = executed === (direction === 'up') ? ' --rerun ALLOW' : ''
  if (direction === 'down') return `correct its down, then npx umzug down --name ${name}${rerun}`
  const again = executed ? `npx umzug up --name ${name}${rerun}` : 'npx umzug up'
  return `correct the file, undo by hand what it changed outside a transaction, then ${again}`
}
