/**
 * Loads a migration file and finds its functions.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Runtime } from '../ports.ts'
import { redact } from '../redact.ts'
import type { MigrationFunction } from './context.ts'
import { describeError } from './failure.ts'

/** What a file must have. */
export interface MigrationModule {
  up: MigrationFunction
  down?: MigrationFunction
}

/** Loads a file of any module format and style. Throws `MIGRATION_INVALID` when it cannot be loaded or has no `up`. */
export async function loadMigration(runtime: Runtime, path: string): Promise<MigrationModule> {
  const loaded = await runtime.load(path).catch((error) => {
    throw new ElasticUmzugError('MIGRATION_INVALID', `${path} could not be loaded: ${redact(describeError(error))}`, {
      next: 'correct the file (or `require` in the config file, where a compiler is missing), then npx umzug up',
      cause: error,
    })
  })
  const owner = findOwner(loaded)
  if (owner) return owner
  throw new ElasticUmzugError('MIGRATION_INVALID', `${path} has no \`up\` function.`, {
    next:
      'export one: export async function up({ context }) { … }; or keep the file out of `migrations` in the config file',
  })
}

// The object that has `up` is kept whole, so that methods find their `this`. The default export comes first only where
// it is the CommonJS `module.exports` that the named exports were copied from.
function findOwner(loaded: Record<string, unknown>): MigrationModule | undefined {
  const exported = loaded.default
  if (hasUp(loaded)) return hasUp(exported) && exported.up === loaded.up ? exported : loaded
  if (hasUp(exported)) return exported
  const inner = isObject(exported) ? exported.default : undefined
  return hasUp(inner) ? inner : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

/** Whether a value can be used as a migration. */
export function hasUp(value: unknown): value is MigrationModule & Record<string, unknown> {
  return isObject(value) && typeof value.up === 'function'
}
