/**
 * Names of migrations: stored with extension, compared without.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'

const extension = /\.(?:[cm]?[jt]s|sql)$/

/** The name without its extension: `.ts` in development and `.js` in a build are one migration. */
export function stemOf(name: string): string {
  return name.replace(extension, '')
}

/** Last part of a path. */
export function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
}

/** The known name that is meant, given with or without extension. Throws `MIGRATION_UNKNOWN`. */
export function knownName(given: string, known: readonly string[]): string {
  const found = known.find((each) => each === given) ?? known.find((each) => stemOf(each) === stemOf(given))
  if (found !== undefined) return found
  throw new ElasticUmzugError('MIGRATION_UNKNOWN', `No migration is named "${given}".`, {
    next: 'npx umzug pending and npx umzug executed list the names',
  })
}
