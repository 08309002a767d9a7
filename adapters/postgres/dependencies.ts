/**
 * Which documents of a query a changed row concerns.
 * @module
 */
import type { Db, Dependency, Table } from '../../src/ports.ts'
import { quoteTable } from '../../src/sql.ts'
import type { Column } from '../sequelize/catalog.ts'
import { sqlState } from '../sequelize/castable.ts'
import { changed, ownKeys, rootKeys } from '../sequelize/dependencies.ts'
import { capturedValue, type KeyColumn, keyOrder } from '../sequelize/keys.ts'
import { tableId } from '../sequelize/tables.ts'
import { readTables, type Tables } from './catalog.ts'
import { type DependsOn, nameOf, queryError, type QueryOptions } from './options.ts'
import { probe, type Probed, type TableRead } from './probe.ts'
import { allKeys, keysName, madeDocuments, type QueryRows, rangeKeys, typedColumns } from './rows.ts'

/** Checks a query against the database and tells what its documents depend on. Throws `SOURCE_INVALID`. */
export async function queryDependencies(db: Db, options: QueryOptions, rows: QueryRows): Promise<Dependency[]> {
  const { table, query } = options
  const probed = await asked(table, '`query`', () => probe(db, { name: keysName, sql: allKeys(rows) }, query))
  assertUsed(options, rows, probed)
  assertFollowed(options, probed)
  const page = madeDocuments(rows, rangeKeys(rows, { after: null, upTo: null }, 1), {
    version: '0',
    keys: true,
    parsed: false,
  })
  await asked(table, '`query`', () => db.query(`EXPLAIN ${page.sql}`, page.values))
  const tables = await readTables(db, [table, ...options.dependsOn.map((each) => each.table)])
  const making = { db, options, rows, tables, probed }
  const others: Dependency[] = []
  for (const { table: other, given } of options.dependsOn) {
    if (given) others.push(await dependency(making, other, given))
  }
  return [ownDependency(making), ...others]
}

interface Making {
  db: Db
  options: QueryOptions
  rows: QueryRows
  tables: Tables
  probed: Probed
}

function ownDependency(making: Making): Dependency {
  const { options: { table }, rows } = making
  return {
    ...common(making, table, rows.key),
    keys: ownKeys(rows.key),
    own: true,
  }
}

async function dependency(making: Making, table: Table, given: Exclude<DependsOn, false>): Promise<Dependency> {
  const { db, options, rows, tables } = making
  const where = `dependsOn.${nameOf(table)}`
  const kind = tables.kindOf(table)
  if (kind === undefined) {
    throw queryError(
      options.table,
      `${where} is no table`,
      'correct its name, or npx umzug up, if a migration makes it',
    )
  }
  if (unseen[kind]) {
    throw queryError(
      options.table,
      `${where} is a ${unseen[kind]}, whose changes cannot be seen`,
      'name the tables behind it',
    )
  }
  const joins = given.key === undefined
    ? await changedColumns(making, table, given.keys)
    : keyColumns(making, table, [given.key].flat())
  const columns = typedColumns(joins, (each) => capturedValue('changed.image', each))
  const values = given.key === undefined
    ? `WITH changed AS MATERIALIZED (SELECT ${columns || '1'} FROM ${changed})
SELECT k.* FROM (\n${given.keys}\n) AS k(${keyOrderOf(rows.id)})`
    : `SELECT ${joins.map((each) => capturedValue('changed.image', each)).join(', ')} FROM ${changed}`
  const keys = rootKeys(rows, `(${keyOrder(rows.plan.alias, rows.id)}) IN (\n${values})`)
  await asked(options.table, `\`${where}\``, () => db.query(`EXPLAIN ${keys}`, ['[]', null, 1]))
  return { ...common(making, table, joins), keys, own: false }
}

function keyOrderOf(key: readonly KeyColumn[]): string {
  return key.map((_, at) => `k${at}`).join(', ')
}

function common(
  { options, rows, tables, probed }: Making,
  table: Table,
  joins: readonly Column[],
): Omit<Dependency, 'keys' | 'own'> {
  const id = tableId(table)
  const known = tables.columns.get(id)!
  const capture = [...new Set([...tables.keyOf(table), ...joins].map((each) => each.name))]
  const read = probed.reads.find((each) => tableId(each) === id)?.columns
  // What a function reads is not known: all of a table that only functions read, and where the database changes columns.
  const columns = read && !known.rewritten ? [...new Set([...read, ...capture])] : [...known.columns.keys()]
  const sameTable = table.schema === options.table.schema && table.name === options.table.name
  return {
    table: id,
    columns,
    capture: sameTable ? [...new Set([...rows.key.map((each) => each.name), ...capture])] : capture,
    allKeys: rootKeys(rows, ''),
  }
}

async function changedColumns({ db, options, rows, tables }: Making, table: Table, keys: string): Promise<Column[]> {
  const what = `\`dependsOn.${nameOf(table)}.keys\``
  const sql = `SELECT * FROM ${quoteTable(table)}`
  const { gives, asked: names } = await asked(options.table, what, () => probe(db, { name: 'changed', sql }, keys))
  if (!names) {
    throw queryError(options.table, `${what} does not read \`changed\``, 'join it to the rows of `changed`')
  }
  if (gives.length !== rows.id.length) {
    const wanted = rows.id.map((each) => each.name).join(', ')
    throw queryError(
      options.table,
      `${what} gives ${gives.length} columns`,
      `select the key of the documents: ${wanted}`,
    )
  }
  return names.map((name) => tables.columns.get(tableId(table))!.columns.get(name)!)
}

function keyColumns({ options, rows, tables }: Making, table: Table, names: readonly string[]): Column[] {
  const what = `dependsOn.${nameOf(table)}.key`
  const wanted = rows.id.map((each) => each.name).join(', ')
  if (names.length !== rows.id.length) {
    throw queryError(options.table, `${what} has ${names.length} columns`, `name those that hold ${wanted}`)
  }
  return names.map((name) => {
    const found = tables.columns.get(tableId(table))!.columns.get(name)
    if (found) return found
    throw queryError(
      options.table,
      `${what}: table ${nameOf(table)} has no column "${name}"`,
      `name the column that holds ${wanted}, or npx umzug up, if a migration makes it`,
    )
  })
}

function assertUsed({ table }: QueryOptions, { key }: QueryRows, { gives, asked: used }: Probed): void {
  const names = key.map((each) => each.name).join(', ')
  if (!used) {
    throw queryError(
      table,
      '`query` does not read `keys`, so it would give all rows for every page',
      `join it: FROM ${keysName} JOIN ${nameOf(table)} USING (${names})`,
    )
  }
  const missing = key.find((each) => !gives.includes(each.name))
  if (!missing) return
  throw queryError(table, `\`query\` gives no column "${missing.name}"`, `select the key, too: ${names}`)
}

const unseen: Readonly<Record<string, string>> = { v: 'view', m: 'materialized view', f: 'foreign table' }

function assertFollowed({ table, dependsOn }: QueryOptions, { reads }: Probed): void {
  const saidOf = (read: TableRead) => dependsOn.find((each) => tableId(each.table) === tableId(read))?.given
  for (const read of reads) {
    const said = saidOf(read)
    if (said === false || tableId(read) === tableId(table)) continue
    const name = nameOf(read)
    if (unseen[read.kind]) {
      throw queryError(
        table,
        `\`query\` reads the ${unseen[read.kind]} ${name}, whose changes cannot be seen`,
        `read the tables behind it, or say that its changes concern no document: dependsOn: { '${name}': false }`,
      )
    }
    if (said) continue
    throw queryError(
      table,
      `\`query\` reads ${name}, and \`dependsOn\` does not say which documents a row of it concerns`,
      `add '${name}': { key: 'COLUMN' }, or { keys: 'SELECT … FROM changed …' }, or false when its changes concern none`,
    )
  }
}

// Names, types, parameters and rights are for PostgreSQL to judge.
async function asked<T>(table: Table, what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    const state = sqlState(error)
    if (!/^(0A|22|25006|42|54)/.test(state)) throw error
    const { message } = error as Error
    throw queryError(table, `PostgreSQL refuses ${what}: ${message}`, nextOf(state, message), error)
  }
}

function nextOf(state: string, message: string): string {
  if (state === '42P02') {
    return 'take no parameters: the query finds what it is asked for in the relation `keys` or `changed`'
  }
  if (/temporary tables/.test(message)) return 'GRANT TEMPORARY ON DATABASE … TO the user of `npx umzug up`'
  if (state === '42501') return 'grant SELECT on it to the user of the Sequelize instance'
  return 'correct the SQL, or npx umzug up, if a migration makes what it names'
}
