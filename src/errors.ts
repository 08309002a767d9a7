/**
 * Errors and their codes. Each says what happened, where, why, and the next command.
 * @module
 */

/** Codes of every error, each with its meaning; the README lists the same. */
export const errorCodes = {
  CONFIG_NOT_FOUND: 'no config file in this folder or above it',
  CONFIG_FAILED: 'the config file could not be loaded',
  CONFIG_INVALID: 'the config is not what `defineConfig` takes',
  DATABASE_UNREACHABLE: 'PostgreSQL does not answer',
  DATABASE_REFUSED: 'PostgreSQL refused the login',
  DATABASE_VERSION: 'PostgreSQL is older than 13',
  SEARCH_UNREACHABLE: 'Elasticsearch does not answer',
  SEARCH_REFUSED: 'Elasticsearch refused the login',
  SEARCH_VERSION: 'the server is not Elasticsearch 8',
  SEARCH_FAILED: 'Elasticsearch answered with an error',
  SEARCH_DISK: 'the cluster lacks the room for a version',
  SCHEMA_MISSING: 'the own tables do not exist yet',
  SCHEMA_NEWER: 'the own tables were made by a newer release',
  RUN_LOCK_HELD: 'another run holds the run lock, and `--no-wait` was given',
  RUN_LOCK_LOST: 'the connection that holds the run lock was lost',
  CAPTURE_STALE: 'a transaction is too old to see what its changes concern',
  CAPTURE_BYPASSED: 'a raw statement would write rows that documents show',
  CAPTURE_IMPOSSIBLE: 'a table cannot have triggers that record its changes',
  DEFINITION_INVALID: 'an index definition is wrong',
  DEFINITION_DUPLICATE: 'two definitions have the same name',
  DEFINITION_UNKNOWN: 'no definition or index has this name',
  MAPPING_REFUSED: 'Elasticsearch refused the mappings or settings',
  SOURCE_INVALID: 'the source of a definition cannot be read',
  DOCUMENT_REFUSED: 'Elasticsearch refused a document',
  VERSION_UNKNOWN: 'no such index version',
  VERSION_NOT_READY: 'the version is not complete',
  VERSION_BEHIND: 'the version has unprocessed changes',
  VERSION_ABANDONED: 'the version was given up, because nobody served it for too long',
  ACTION_UNKNOWN: 'no recorded action has this number',
  ABORTED_UNKNOWN: 'no aborted document matches',
  VERIFY_FAILED: 'rows and documents are not the same',
  MIGRATION_FAILED: 'a migration threw',
  MIGRATION_INVALID: 'a migration file cannot be used',
  MIGRATION_UNKNOWN: 'no migration has this name',
  STATUS_WRONG: '`status --check` found something wrong',
  COMMAND_INVALID: 'the command line is wrong',
  STOPPED: 'stopped by a signal; the next run goes on from the checkpoint',
  NO_ANSWER: 'a request got no answer',
  UNEXPECTED: 'an error of the application or of another library',
} as const

/** One of the codes. */
export type ErrorCode = keyof typeof errorCodes

/** What an error is made of. */
export interface ErrorParts {
  /** What to do now: a command or an edit. */
  next?: string
  /** What was thrown first. */
  cause?: unknown
}

/** An error with a code, whose message ends in the next step. */
export class ElasticUmzugError extends Error {
  /** Tells it from other errors, also across copies of this package. */
  override readonly name: string = 'ElasticUmzugError'
  /** The code. */
  readonly code: ErrorCode
  /** What to do now. */
  readonly next: string | undefined

  /** Takes the code, what happened, and the next step. */
  constructor(code: ErrorCode, message: string, parts: ErrorParts = {}) {
    // A message may quote that of another error, with its next step: the one of the outermost counts.
    const what = parts.next ? message.replace(/\n {2}next: .*/g, '') : message
    super(parts.next ? `${what}\n  next: ${parts.next}` : what, { cause: parts.cause })
    this.code = code
    this.next = parts.next
  }
}

/** Whether an error is one of ours; true also for those of another copy of this package, say a global command line. */
export function isOwnError(error: unknown): error is ElasticUmzugError {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown }
  return name === 'ElasticUmzugError' && typeof code === 'string' && Object.hasOwn(errorCodes, code)
}

/** What a thrown value says, whatever was thrown. */
export function messageOf(error: unknown): string {
  const { message, name } = (error ?? {}) as { message?: unknown; name?: unknown }
  if (typeof message === 'string' && message !== '') return message
  if (typeof name === 'string' && name !== '') return name
  // A loader in a thread of its own (ts-node's) hands over an object that can only be inspected.
  const inspect = (error as { [each: symbol]: unknown } | null)?.[Symbol.for('nodejs.util.inspect.custom')]
  if (typeof inspect === 'function') return String(inspect.call(error))
  return typeof error === 'object' && error !== null ? JSON.stringify(error) : String(error)
}

/** No answer to a request: it may still take effect, unless `sent` is false. */
export class NoAnswerError extends ElasticUmzugError {
  /** False only if the request surely never left this process. */
  readonly sent: boolean

  /** Takes the reason and whether the request may have left. */
  constructor(message: string, sent: boolean, cause?: unknown) {
    super('NO_ANSWER', message, { cause })
    this.sent = sent
  }
}

/** Stack of a thrown value with its code, its parts and its causes. It may hold passwords: redact it. */
export function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error)
  const parts = error instanceof AggregateError ? error.errors.map((each) => `\n- ${stackOf(each)}`).join('') : ''
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`
  const code = isOwnError(error) ? `${error.code}: ` : ''
  return `${code}${error.stack ?? error.message}${parts}${cause}`
}
