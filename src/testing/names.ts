/**
 * Names of what a suite owns, and how left-overs are told by them.
 * @module
 */

/** What one suite owns in the cluster and in the database. */
export interface SuiteNames {
  /** When it began, to the second, and something random. */
  id: string
  /** Before each of its indexes, aliases and templates. */
  prefix: string
  /** Schema of its own tables. */
  schema: string
}

const digits = '\\d{14}'
const random = '[0-9a-f]{8}'

/** What every prefix begins with. */
export const prefixStart = 'umzug-test-'

/** As PostgreSQL reads it; the schema of a suite, and nothing else. */
export const schemaPattern: string = `^elastic_umzug_test_${digits}_${random}$`

/** Draws the names of a new suite. */
export function newSuite(): SuiteNames {
  const began = new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14)
  return namesOf(`${began}_${crypto.randomUUID().slice(0, 8)}`)
}

/** The suite that a schema belongs to. */
export function suiteOfSchema(schema: string): SuiteNames {
  return namesOf(schema.slice('elastic_umzug_test_'.length))
}

/** The suite that an index, or a template without what we put before it, belongs to; undefined where it is none of a suite. */
export function suiteOfName(name: string): SuiteNames | undefined {
  const [, began, drawn] = new RegExp(`^${prefixStart}(${digits})-(${random})-`).exec(name) ?? []
  return began === undefined ? undefined : namesOf(`${began}_${drawn}`)
}

/** Milliseconds since a suite began, by the clock of the machine that it began on. */
export function ageMs({ id }: SuiteNames): number {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(id)!.map(Number)
  const [year, month, day, hour, minute, second] = parts as [number, number, number, number, number, number]
  return Date.now() - Date.UTC(year, month - 1, day, hour, minute, second)
}

function namesOf(id: string): SuiteNames {
  return { id, prefix: `${prefixStart}${id.replace('_', '-')}-`, schema: `elastic_umzug_test_${id}` }
}
