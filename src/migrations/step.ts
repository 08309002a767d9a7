/**
 * Runs one migration: recorded at its start and end.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { redact } from '../redact.ts'
import type { Action } from '../store/actions.ts'
import type { Store } from '../store/store.ts'
import { argumentOf, type MigrationContext, type MigrationFunction } from './context.ts'
import { describeError, type Direction, migrationFailed } from './failure.ts'
import type { LoaderDeps, Migration } from './loader.ts'
import { checksumOf, failRecord, startRecord } from './records.ts'

/** What the migrations of one command share. */
export interface RunState {
  action: Action | undefined
  /** Names that went through so far. */
  done: string[]
  /** Names that the history had at the start. */
  executed: ReadonlySet<string>
  /** Checksum of the file that is being run. */
  checksum: string | null
}

/** What a step needs. */
export interface StepDeps extends LoaderDeps {
  store: Store
  onLine(line: string): void
}

/**
 * Runs `up` or `down` of one migration. Whatever is thrown, the record says how it ended; a crash leaves the record without end.
 * Throws `MIGRATION_FAILED` with the cause, `MIGRATION_INVALID`; or, before anything of it ran and was recorded, `CONFIG_FAILED` or what
 * `assertHeld` throws.
 */
export async function runStep(
  deps: StepDeps,
  state: RunState,
  direction: Direction,
  migration: Migration,
  context: MigrationContext,
): Promise<void> {
  state.action?.assertHeld()
  await migration.prepare?.()
  state.checksum = await checksumOf(deps.runtime, migration.path)
  await startRecord(deps.store, migration.name, direction)
  try {
    await run(deps, direction, migration, context)
    // What altered tables unseen: a function, a model's own `drop`, what cannot run in a transaction.
    await deps.mend()
  } catch (error) {
    // Where the connection is gone too, the first error is the one that tells.
    await failRecord(deps.store, migration.name, redact(describeError(error))).catch(() => {})
    throw failureOf(state, direction, migration, error)
  }
}

async function run(
  deps: StepDeps,
  direction: Direction,
  migration: Migration,
  context: MigrationContext,
): Promise<void> {
  const argument = argumentOf(context, migration)
  const Sequelize = deps.config.sequelize.constructor as Parameters<MigrationFunction>[1]
  if (direction === 'up') return void await migration.up(argument, Sequelize)
  const ran = await migration.down(argument, Sequelize)
  if (!ran) deps.onLine(`${migration.name} has no down: only its record is removed`)
}

function failureOf(
  { done, executed }: RunState,
  direction: Direction,
  { name, path }: Migration,
  error: unknown,
): ElasticUmzugError {
  if (error instanceof ElasticUmzugError && error.code === 'MIGRATION_INVALID') return error
  return migrationFailed({ name, where: path ?? name, direction, executed: executed.has(name), done, error })
}
