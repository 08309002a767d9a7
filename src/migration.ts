/**
 * The type of migration files.
 * @module
 */
import type { IndexCommands } from './commands/indexes.ts'
import type { MigrationFunction } from './migrations/runner.ts'

/**
 * What a migration file exports as `up` and `down`.
 *
 * ```ts
 * export const up: Migration = async ({ context }) => {
 *   await context.addColumn('books', 'pages', { type: 'integer' })
 * }
 * ```
 */
export type Migration = MigrationFunction<IndexCommands>
