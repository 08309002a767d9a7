/**
 * Statements over the rows of a plan: pages, chosen keys, counts, cuts.
 * @module
 */
import type { KeyRange } from '../../src/ports.ts'
import { quoteName, quoteTable } from '../../src/sql.ts'
import type { Column } from './catalog.ts'
import { type DocumentSql, pageColumns, pageName } from './documents.ts'
import {
  boundKey,
  compareKey,
  type KeyColumn,
  keyOrder,
  keyText,
  splitKey,
  type UniqueColumn,
  uniqueOf,
} from './keys.ts'
import type { Plan } from './plan.ts'
import { column, conditions, whereAll } from './scope.ts'

/** A statement with its bound values. */
export interface Statement {
  sql: string
  values: unknown[]
}

/** A plan with the types of its key. */
export interface Rows {
  plan: Plan
  key: readonly Column[]
  unique: readonly UniqueColumn[]
}

// A model may have any name, and its name is its alias: these are hardly among them.
const askedName = 'elastic_umzug_asked'
const cutName = 'elastic_umzug_cut'

/** A table by its name and alias, with the types of its key, and those of its columns that rows are found by. */
export interface KeyedTable {
  plan: Pick<Plan, 'table' | 'alias'>
  key: readonly KeyColumn[]
  unique: readonly UniqueColumn[]
}

/** A table with its alias. */
export function tableFrom({ plan }: Pick<KeyedTable, 'plan'>): string {
  return `${quoteTable(plan.table)} AS ${quoteName(plan.alias)}`
}

/** Selects columns of the rows of a range, in key order, at most `rows`. A bound that is no key of this table is none. */
export function rangeRows(rows: Rows, select: string, range: KeyRange, limit: number): Statement {
  const { plan, key, unique } = rows
  const values: unknown[] = [limit]
  const bounds = ([['>', range.after], ['<=', range.upTo]] as const).flatMap(([operator, bound]) => {
    const parts = bound === null ? undefined : splitKey(bound, key.length)
    if (!parts) return []
    const compared = compareKey(plan.alias, unique, operator, boundKey(unique, values.length + 1))
    values.push(...uniqueOf(unique, parts))
    return [compared]
  })
  const where = whereAll([...bounds, ...conditions(plan)])
  return {
    sql: `SELECT ${select} FROM ${tableFrom(rows)}${where} ORDER BY ${keyOrder(plan.alias, unique)} LIMIT $1`,
    values,
  }
}

/** Selects columns of the rows with these keys; texts that are not written as PostgreSQL prints the key find nothing. */
export function keyedRows(rows: Rows, select: string, keys: readonly string[]): Statement {
  const { plan, key, unique } = rows
  const split = keys.map((each) => [each, splitKey(each, key.length)] as const).filter(([, parts]) => parts)
  const values = [split.map(([text]) => text), ...unique.map(({ part }) => split.map(([, parts]) => parts![part]))]
  const names = unique.map((_, index) => `part${index}`)
  const asked = `unnest(${values.map((_, index) => `$${index + 1}::text[]`).join(', ')}) AS ${askedName}(key, ${
    names.join(', ')
  })`
  const typed = unique.map(({ type }, index) => `${askedName}.${names[index]}::${type}`)
  const joined = unique.map(({ name }, index) => `${column(plan.alias, name)} = ${typed[index]}`)
  const where = whereAll([...joined, `${keyText(plan.alias, key)} = ${askedName}.key`, ...conditions(plan)])
  return { sql: `SELECT ${select} FROM ${asked}, ${tableFrom(rows)}${where}`, values }
}

/** Tells whether keys can be cast to the key's type: fails when one cannot. */
export function castKeys({ key, unique }: Pick<KeyedTable, 'key' | 'unique'>, keys: readonly string[]): Statement {
  const values = unique.map(({ part }) => keys.map((each) => splitKey(each, key.length)?.[part] ?? null))
  const lists = unique.map(({ type }, index) => `($${index + 1}::text[])::${type}[] IS NULL`)
  return { sql: `SELECT ${lists.join(', ')}`, values }
}

/** Columns that the page's rows are read with. */
export function pageSelect({ plan }: Rows): string {
  return pageColumns(plan).map((each) => column(plan.alias, each)).join(', ')
}

/** Documents of the chosen rows as one text of bulk lines, in key order; with their keys when asked for. */
export function bulkText(
  { plan, key, unique }: Rows,
  documents: DocumentSql,
  chosen: Statement,
  { version, keys }: { version: string; keys: boolean },
): Statement {
  const order = keyOrder(plan.alias, unique)
  const text = keyText(plan.alias, key)
  // Digits and hexadecimals stand in JSON as they are; making JSON of each id is a tenth of the work.
  const id = key.every((each) => plainTypes.includes(each.typeName))
    ? `'"' || ${text} || '"'`
    : `to_json(${text})::text`
  const line = `'{"index":{"_id":' || ${id} || $${
    chosen.values.length + 1
  }::text || ${documents.document}::text || E'\\n'`
  const sql = `WITH ${pageName} AS MATERIALIZED (${chosen.sql})
SELECT count(*)::int AS count, coalesce(string_agg(${line}, '' ORDER BY ${order}), '') AS body,
  ${keys ? `array_to_json(array_agg(${text} ORDER BY ${order}))` : `NULL::json`} AS keys
FROM ${pageName} AS ${quoteName(plan.alias)}${documents.joins}`
  return { sql, values: [...chosen.values, `,"version":${version},"version_type":"external"}}\n`] }
}

const plainTypes = ['int2', 'int4', 'int8', 'uuid']

/** Counts the rows that are documents. */
export function countRows(rows: Rows): Statement {
  return {
    sql: `SELECT count(*)::float8 AS count FROM ${tableFrom(rows)}${whereAll(conditions(rows.plan))}`,
    values: [],
  }
}

/**
 * Keys that cut the table into parts of about one size: it steps along the key's index, holding one key at
 * a time. All rows count, also those that are no documents.
 */
export function cutKeys(rows: KeyedTable, parts: number): Statement {
  const { plan, key, unique } = rows
  const columns = key.map(({ name }, index) => `${column(plan.alias, name)} AS k${index}`).join(', ')
  const order = keyOrder(plan.alias, unique)
  const from = tableFrom(rows)
  const beyond = compareKey(plan.alias, unique, '>', unique.map(({ part }) => `${cutName}.k${part}`))
  const names = key.map((_, index) => ({ name: `k${index}`, type: key[index]!.type }))
  const sql =
    `WITH RECURSIVE step AS MATERIALIZED (SELECT greatest(1, ceil(count(*) / $1::float8))::bigint AS size FROM ${from}),
${cutName} AS (
  (SELECT 1 AS n, ${columns} FROM ${from} ORDER BY ${order} OFFSET (SELECT size - 1 FROM step) LIMIT 1)
  UNION ALL
  (SELECT ${cutName}.n + 1, next.* FROM ${cutName} CROSS JOIN LATERAL (
    SELECT ${columns} FROM ${from} WHERE ${beyond} ORDER BY ${order} OFFSET (SELECT size - 1 FROM step) LIMIT 1) next
   WHERE ${cutName}.n < $1::int - 1))
SELECT ${keyText(cutName, names)} AS key FROM ${cutName} WHERE n < $1::int ORDER BY n`
  return { sql, values: [parts] }
}
