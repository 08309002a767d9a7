/**
 * Names of the own tables in one database.
 * @module
 */
import type { Db } from '../ports.ts'
import { quoteName } from '../sql.ts'

/** Every own table; the schema that holds them is configurable. */
export const tableNames = [
  'schema_steps',
  'indexes',
  'index_versions',
  'changes',
  'pending',
  'populate_ranges',
  'populate_deletes',
  'actions',
  'migration_records',
  'document_clock',
  'captured_tables',
  'search_marks',
  'suspicions',
  'id_checks',
  'outdated',
] as const

/** The own tables of one database, ready to be put into SQL. */
export interface Store {
  readonly db: Db
  /** Unquoted name of the own schema. */
  readonly schema: string
  /** Quoted, qualified names. */
  readonly table: Readonly<Record<(typeof tableNames)[number], string>>
  /** Quoted, qualified name of a function or sequence in the own schema. */
  name(object: string): string
}

/** Makes the names for one database and schema. */
export function openStore(db: Db, schema: string): Store {
  const name = (object: string) => `${quoteName(schema)}.${quoteName(object)}`
  const table = Object.fromEntries(tableNames.map((each) => [each, name(each)])) as Store['table']
  return { db, schema, table, name }
}
