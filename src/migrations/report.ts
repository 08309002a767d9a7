/**
 * What an operator should know before migrations run: interrupted, edited, archived and late ones, and globs without any.
 * @module
 */
import type { MigrationId } from './context.ts'
import { stemOf } from './names.ts'
import type { MigrationRecord } from './records.ts'

/** What is known before a run. */
export interface Known {
  /** Globs that the config gives; none where it gives migrations themselves. */
  patterns: readonly string[]
  /** Migrations of the config, in running order. */
  migrations: readonly MigrationId[]
  /** Names of the history, as stored. */
  executed: readonly string[]
  records: readonly MigrationRecord[]
  /** Checksum of the file as it is now, by name. */
  checksums: ReadonlyMap<string, string | null>
}

/** A line for each thing found; one line for all archived ones, of which there may be hundreds. */
export function reportLines(known: Known): string[] {
  return [...unmatched(known), ...interrupted(known), ...edited(known), ...late(known), ...archived(known)]
}

// A slip in a pattern would look like nothing to do.
function unmatched({ patterns, migrations }: Known): string[] {
  return patterns.length > 0 && migrations.length === 0 ? [`no file matches ${patterns.join(', ')}`] : []
}

function interrupted({ records, executed }: Known): string[] {
  const done = new Set(executed.map(stemOf))
  return records.filter((each) => each.endedAt === null).flatMap(({ name, direction, startedAt }) => {
    const isDone = done.has(stemOf(name))
    if (direction === 'up' && !isDone) return [`${name} was interrupted (started ${startedAt}); it is run again`]
    if (direction === 'down' && isDone) {
      return [`the down of ${name} was interrupted (started ${startedAt}); npx umzug down --name ${name} runs it again`]
    }
    return []
  })
}

function edited({ records, executed, checksums }: Known): string[] {
  const done = new Set(executed.map(stemOf))
  return records
    .filter(({ name, checksum }) => {
      const now = checksums.get(name) ?? null
      return done.has(stemOf(name)) && checksum !== null && now !== null && checksum !== now
    })
    .map(({ name, endedAt, error }) => {
      // Of a later run that failed it would be the wrong time.
      const when = endedAt !== null && error === null ? ` (${endedAt})` : ''
      return `${name} was edited after it was executed${when}; the edit is not in the database`
    })
}

function late({ migrations, executed }: Known): string[] {
  const done = new Set(executed.map(stemOf))
  const last = migrations.findLastIndex((each) => done.has(stemOf(each.name)))
  return migrations.slice(0, Math.max(last, 0)).filter((each) => !done.has(stemOf(each.name))).map(({ name }) =>
    `${name} is pending although its name comes before ${migrations[last]!.name}, which is executed`
  )
}

function archived({ migrations, executed }: Known): string[] {
  const known = new Set(migrations.map((each) => stemOf(each.name)))
  const gone = executed.filter((each) => !known.has(stemOf(each)))
  if (gone.length === 0) return []
  const [which, verb] = gone.length === 1
    ? [gone[0], 'migration has']
    : [`${gone[0]} … ${gone.at(-1)}`, 'migrations have']
  return [`${gone.length} executed ${verb} no file any more (${which})`]
}
