/**
 * The application's own table of executed migrations, written as sequelize-cli and Umzug write it.
 * @module
 */
import type { DatabaseConfig } from '../config.ts'
import { ElasticUmzugError } from '../errors.ts'
import type { Queryable } from '../ports.ts'
import { quoteName } from '../sql.ts'
import { stemOf } from './names.ts'

/** The table, quoted. */
export interface History {
  schema: string | undefined
  table: string
  column: string
}

/** The table that the config names; by default `SequelizeMeta` where the application's own models live. */
export function openHistory({ sequelize, migrationStorage = {} }: DatabaseConfig): History {
  const { options } = sequelize as unknown as { options: { schema?: string; define?: { schema?: string } } }
  const schema = migrationStorage.schema ?? options.define?.schema ?? options.schema
  const name = quoteName(migrationStorage.tableName ?? 'SequelizeMeta')
  return {
    schema,
    table: schema ? `${quoteName(schema)}.${name}` : name,
    column: quoteName(migrationStorage.columnName ?? 'name'),
  }
}

/** Names as stored, ascending; none while there is no table. Needs no right but to read. */
export async function executedNames(on: Queryable, history: History): Promise<string[]> {
  if (!await tableExists(on, history)) return []
  const { table, column } = history
  const rows = await on.query<{ name: string }>(`SELECT ${column} AS name FROM ${table} ORDER BY 1`)
    .catch((error) => refuseColumn(error, history))
  return rows.map((each) => each.name)
}

function refuseColumn(error: unknown, { table, column }: History): never {
  if ((error as { code?: string }).code !== '42703') throw error
  throw new ElasticUmzugError('CONFIG_INVALID', `The table ${table} of executed migrations has no column ${column}.`, {
    next: 'name it in the config file: migrationStorage: { tableName, columnName }',
    cause: error,
  })
}

async function tableExists(on: Queryable, { table }: History): Promise<boolean> {
  const [row] = await on.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [table])
  return row?.found === true
}

/** Records a name; one that is there with whatever extension stays as it is. Creates the table, so it is called under the run lock. */
export async function addName(tx: Queryable, history: History, name: string): Promise<void> {
  if (!await tableExists(tx, history)) await createTable(tx, history)
  const names = await executedNames(tx, history)
  if (names.some((each) => stemOf(each) === stemOf(name))) return
  const times = await timeColumns(tx, history)
  await tx.query(
    `INSERT INTO ${history.table} (${[history.column, ...times].join(', ')})
     VALUES ($1${', clock_timestamp()'.repeat(times.length)})`,
    [name],
  )
}

// The same table as `Model.sync()` of both makes.
async function createTable(tx: Queryable, { schema, table, column }: History): Promise<void> {
  if (schema) {
    const [row] = await tx.query<{ found: boolean }>('SELECT to_regnamespace($1) IS NOT NULL AS found', [
      quoteName(schema),
    ])
    if (!row?.found) await tx.query(`CREATE SCHEMA ${quoteName(schema)}`)
  }
  await tx.query(`CREATE TABLE ${table} (${column} varchar(255) NOT NULL UNIQUE, PRIMARY KEY (${column}))`)
}

// sequelize-cli can have added `createdAt` and `updatedAt`, which take no null and have no default.
async function timeColumns(tx: Queryable, { table }: History): Promise<string[]> {
  const rows = await tx.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef
       AND atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype)`,
    [table],
  )
  return rows.map((each) => quoteName(each.name))
}

/** Removes a name, with whatever extension it is stored. */
export async function removeName(tx: Queryable, history: History, name: string): Promise<void> {
  const names = await executedNames(tx, history)
  const stored = names.filter((each) => stemOf(each) === stemOf(name))
  await tx.query(`DELETE FROM ${history.table} WHERE ${history.column} = ANY($1::text[])`, [stored])
}
