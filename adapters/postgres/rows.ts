/**
 * Statements that make the documents of a query: PostgreSQL gives a page as one text.
 * @module
 */
import type { KeyRange } from '../../src/ports.ts'
import { quoteName, quoteTable } from '../../src/sql.ts'
import type { Column } from '../sequelize/catalog.ts'
import { boundKey, compareKey, type KeyColumn, keyOrder, keyText, splitKey, uniqueOf } from '../sequelize/keys.ts'
import type { KeyedTable, Statement } from '../sequelize/statements.ts'

/** A query with the types of its key. */
export interface QueryRows extends KeyedTable {
  key: readonly Column[]
  /** Columns of the key that tell rows apart: what `dependsOn` names. */
  id: readonly Column[]
  query: string
}

/** Name of the relation under which the query finds the keys it is asked for. */
export const keysName = 'keys'
const rowName = 'elastic_umzug_row'
const madeName = 'elastic_umzug_made'

/** Key columns of the rows of a range, in key order, at most `limit`. A bound that is no key of this table is none. */
export function rangeKeys({ plan, key, unique }: QueryRows, { after, upTo }: KeyRange, limit: number): Statement {
  const values: unknown[] = [limit]
  const bounds = ([['>', after], ['<=', upTo]] as const).flatMap(([operator, bound]) => {
    const parts = bound === null ? undefined : splitKey(bound, key.length)
    if (!parts) return []
    const compared = compareKey(plan.alias, unique, operator, boundKey(unique, values.length + 1))
    values.push(...uniqueOf(unique, parts))
    return [compared]
  })
  const where = bounds.length > 0 ? ` WHERE ${bounds.join(' AND ')}` : ''
  return { sql: `${allKeys({ plan, key })}${where} ORDER BY ${keyOrder(plan.alias, unique)} LIMIT $1`, values }
}

/** Key columns of the rows with these keys; texts that are not written as PostgreSQL prints the key find nothing. */
export function givenKeys({ plan, key, unique }: QueryRows, keys: readonly string[]): Statement {
  const split = keys.flatMap((text) => {
    const parts = splitKey(text, key.length)
    return parts ? [[text, ...uniqueOf(unique, parts)]] : []
  })
  const values = [undefined, ...unique].map((_, at) => split.map((each) => each[at]))
  const asked = `unnest(${values.map((_, at) => `$${at + 1}::text[]`).join(', ')}) AS asked(${
    ['key', ...unique.map((_, at) => `part${at}`)].join(', ')
  })`
  const equal = unique.map(({ name, type }, at) =>
    `${quoteName(plan.alias)}.${quoteName(name)} = asked.part${at}::${type} AND `
  )
  return {
    sql: `${allKeys({ plan, key }, asked)} WHERE ${equal.join('')}${keyText(plan.alias, key)} = asked.key`,
    values,
  }
}

/** Key columns of all rows. */
export function allKeys({ plan, key }: Pick<KeyedTable, 'plan' | 'key'>, beside?: string): string {
  const from = `${quoteTable(plan.table)} AS ${quoteName(plan.alias)}`
  return `SELECT ${keyOrder(plan.alias, key)} FROM ${beside ? `${beside}, ` : ''}${from}`
}

/** What a statement gives of documents. */
export interface Made {
  /** Rows that were looked at, and the key of the last. */
  size: number
  last: string | null
  /** Keys for which the query gives more than one row. */
  repeated: string[] | null
  count: number
  keys: string[] | null
  body: string
  rows: [key: string, row: Record<string, unknown>][] | null
}

/** Documents of the chosen keys, in key order: as one text of bulk lines, or as rows for `document()`. */
export function madeDocuments(
  rows: QueryRows,
  chosen: Statement,
  { version, keys, parsed }: { version: string; keys: boolean; parsed: boolean },
): Statement {
  const { key, unique } = rows
  const text = keyText(keysName, key)
  const order = unique.map(({ part }) => `k${part}`).join(', ')
  const line = `'{"index":{"_id":' || to_json(key) || $${chosen.values.length + 1}::text || document || E'\\n'`
  const once = `FILTER (WHERE copies = 1)`
  // json_agg breaks its lines, and a line break would end the line of a bulk request; inside texts it is escaped.
  const sql = `WITH ${keysName} AS MATERIALIZED (${chosen.sql}),
${madeName} AS MATERIALIZED (
  SELECT ${key.map(({ name }, at) => `${keysName}.${quoteName(name)} AS k${at}`).join(', ')}, ${text} AS key,
    translate(row_to_json(${rowName}.*)::text, E'\\n\\r', '  ') AS document,
    count(*) OVER (PARTITION BY ${keyOrder(keysName, key)}) AS copies
  FROM ${joined(rows)})
SELECT (SELECT count(*)::int FROM ${keysName}) AS size,
  (SELECT ${text} FROM ${keysName} ORDER BY ${
    unique.map(({ name }) => `${keysName}.${quoteName(name)} DESC`).join(', ')
  } LIMIT 1) AS last,
  to_json(array_agg(DISTINCT key) FILTER (WHERE copies > 1)) AS repeated,
  (count(*) ${once})::int AS count,
  ${keys ? `to_json(array_agg(key ORDER BY ${order}) ${once})` : 'NULL::json'} AS keys,
  ${parsed ? `''` : `coalesce(string_agg(${line}, '' ORDER BY ${order}) ${once}, '')`} AS body,
  ${parsed ? `json_agg(json_build_array(key, document::json) ORDER BY ${order}) ${once}` : 'NULL::json'} AS rows
FROM ${madeName}`
  return {
    sql,
    values: parsed ? chosen.values : [...chosen.values, `,"version":${version},"version_type":"external"}}\n`],
  }
}

/** Counts the rows that have a document. */
export function countMade(rows: QueryRows): Statement {
  const sql = `WITH ${keysName} AS NOT MATERIALIZED (${allKeys(rows)}) SELECT count(*)::float8 AS count FROM ${
    joined(rows)
  }`
  return { sql, values: [] }
}

// A row for a key that was not asked for would be written without a claim on it.
function joined({ key, query }: QueryRows): string {
  const equal = key.map(({ name }) => `${rowName}.${quoteName(name)} = ${keysName}.${quoteName(name)}`)
  return `(\n${query}\n) AS ${rowName} JOIN ${keysName} ON ${equal.join(' AND ')}`
}

/** Columns of a relation with values taken from somewhere. */
export function typedColumns(columns: readonly KeyColumn[], value: (column: KeyColumn) => string): string {
  return columns.map((each) => `${value(each)} AS ${quoteName(each.name)}`).join(', ')
}
