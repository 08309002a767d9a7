/**
 * SQL that records changed rows, inside the statement that changes them.
 * @module
 */
import { ElasticUmzugError } from '../../../src/errors.ts'
import { quoteName, quoteTable } from '../../../src/sql.ts'
import type { Table } from '../../../src/ports.ts'
import type { KeyColumn } from '../keys.ts'
import { tableId } from '../tables.ts'
import { arrayText, quoteText } from './literals.ts'
import { recordingRow, recordRow } from './single.ts'
import type { Watched } from './watch.ts'

/** Most rows of one change. */
const mostRows = 1_000

/** SELECT of the rows of a relation as images: column → value as text, as PostgreSQL prints it. */
function imagesOf(
  capture: readonly string[],
  from: string,
  given: Readonly<Record<string, string>> = {},
): string {
  const columns = capture.map((each) => `${given[each] ?? quoteName(each)}::text AS ${quoteName(each)}`)
  return `SELECT to_json(i) AS image FROM (SELECT ${columns.join(', ')} FROM ${from}) i`
}

/**
 * INSERT of the changes of one table from a SELECT of images. Nothing is inserted when there are none. Put together as text and
 * read at once, many cost a third of what they cost one by one.
 */
export function insertImages(
  changes: string,
  { table }: Watched,
  images: string,
  columns: readonly string[] | null,
): string {
  return `INSERT INTO ${changes} (table_name, rows, columns) ` +
    `SELECT ${quoteText(tableId(table))}, json_agg(b.image)::jsonb, ${columnList(columns)} FROM ` +
    `(SELECT n.image, (row_number() OVER () - 1) / ${mostRows} AS batch FROM (${images}) n) b GROUP BY b.batch`
}

/** INSERT of the change of a whole table. */
export function insertWhole(changes: string, { table }: Watched): string {
  return `${wholeInto(changes)} VALUES (${quoteText(tableId(table))})`
}

function wholeInto(changes: string): string {
  return `INSERT INTO ${changes} (table_name)`
}

function columnList(columns: readonly string[] | null): string {
  return columns === null ? 'NULL::text[]' : `ARRAY[${columns.map(quoteText).join(', ')}]::text[]`
}

/** What Sequelize made: a statement that writes, with what it gives back. */
export interface Statement {
  sql: string
  /** The ` RETURNING …` that Sequelize put at its end, with its columns; undefined when it gives nothing back. */
  returning: { fragment: string; fields: readonly string[] } | undefined
  /** True when the number of rows matters although nothing is given back. */
  counted: boolean
  /** True when it writes one row: each row that it writes is a change of its own. */
  single: boolean
}

/** Rows that an upsert was known to meet, by the columns it meets them by. */
export interface Met {
  keys: readonly string[]
  /** JSON arrays of the texts of these columns. */
  values: readonly string[]
}

/** What is recorded of a statement that writes to a watched table. */
export interface Recorded {
  watched: Watched
  /** Columns of the change; null when rows come or go, or when it is not known. */
  columns: string[] | null
  /** Where rows were locked before: if it updated others, the whole table is recorded. */
  met?: Met | undefined
  /** Quoted name of the function that records one row; undefined where it may not be called. */
  record?: string | undefined
}

const written = '"elastic_umzug_written"'
const row = '"elastic_umzug_row"'
const metKey = '"elastic_umzug_met"'

/**
 * The same statement, recording what it wrote: one statement, so no crash comes between the write and its change,
 * in a transaction or not. It gives back the same columns and the same number of rows.
 */
export function recording(changes: string, recorded: Recorded, statement: Statement): string {
  const { watched, columns, met, record } = recorded
  if (statement.sql.startsWith('CREATE OR REPLACE FUNCTION pg_temp.testfunc')) {
    return recordingInFunction(changes, watched, statement.sql)
  }
  const { body, fields } = withoutReturning(statement)
  const single = record !== undefined && statement.single && !met
    ? recordingRow(record, recorded, { body, fields })
    : undefined
  if (single !== undefined) return single
  const { returned, given, from } = returning(recorded, fields)
  const images = imagesOf(watched.capture, from, given)
  return `WITH ${written} AS (${body} RETURNING ${returned.join(', ')}), ` +
    `"elastic_umzug_captured" AS (${insertImages(changes, watched, images, columns)}) ` +
    (met ? `, "elastic_umzug_unseen" AS (${insertUnseen(changes, watched, met)}) ` : '') +
    `SELECT ${fields.join(', ')} FROM ${from}${fields.length > 0 || statement.counted ? '' : ' WHERE false'}`
}

// What the statement gives back, and the relation that has the columns that its caller asked for and the captured ones.
function returning({ watched, met }: Recorded, fields: readonly string[]) {
  const marks = met ? [`CASE WHEN xmax <> 0 THEN ${keyText(met.keys)} END AS ${metKey}`] : []
  if (fields.includes('*')) {
    if (!met) return { returned: ['*'], given: {}, from: written }
    const whole = `ROW(${quoteName(watched.table.name)}.*)::${quoteTable(watched.table)} AS ${row}`
    return { returned: [whole, ...marks], given: {}, from: `(SELECT (${row}).* FROM ${written}) w` }
  }
  const captured = watched.capture.map((each, at) => ({ name: each, as: `"elastic_umzug_${at}"` }))
  const texts = captured.map(({ name, as }) => `${quoteName(name)}::text AS ${as}`)
  const given = Object.fromEntries(captured.map(({ name, as }) => [name, as]))
  return { returned: [...new Set(fields), ...texts, ...marks], given, from: written }
}

/** Put before the number of a captured column, it names the column in what a statement of the user gives back. */
export const ownColumn = 'elastic_umzug_'

/** A statement of the user: it may give back anything, under any name. */
export interface UserStatement {
  body: string
  /** What its table is called in it. */
  alias: string
  isReturning: boolean
}

/**
 * The same statement, recording what it wrote. It gives back what it did, with columns of our own at the end; or, where it
 * gives nothing back, one row with the number of rows as text: `n`.
 */
export function recordingUsers(changes: string, { watched, columns }: Recorded, statement: UserStatement): string {
  const { body, alias, isReturning } = statement
  const captured = watched.capture.map((name, at) => ({ name, as: quoteName(`${ownColumn}${at}`) }))
  const own = captured.map(({ name, as }) => `${quoteName(alias)}.${quoteName(name)}::text AS ${as}`).join(', ')
  const images = imagesOf(watched.capture, written, Object.fromEntries(captured.map(({ name, as }) => [name, as])))
  // The statement may end in a comment.
  return `WITH ${written} AS (${body}\n${isReturning ? ',' : 'RETURNING'} ${own}), ` +
    `"elastic_umzug_captured" AS (${insertImages(changes, watched, images, columns)}) ` +
    `SELECT ${isReturning ? '*' : 'count(*)::text AS n'} FROM ${written}`
}

// A row that an upsert inserts has no xmax; one that it updates was locked by it first.
function insertUnseen(changes: string, watched: Watched, { values }: Met): string {
  return `${wholeInto(changes)} SELECT ${quoteText(tableId(watched.table))} FROM (SELECT ${metKey} FROM ${written} ` +
    `WHERE ${metKey} IS NOT NULL EXCEPT SELECT unnest(${arrayText(values)}::text[])) u LIMIT 1`
}

/** SQL of the texts of some columns as one text. */
export function keyText(columns: readonly string[]): string {
  return `json_build_array(${columns.map((each) => `${quoteName(each)}::text`).join(', ')})::text`
}

function withoutReturning({ sql, returning }: Statement): { body: string; fields: readonly string[] } {
  let end = sql.length
  while (end > 0 && ' \n;'.includes(sql[end - 1]!)) end--
  const body = sql.slice(0, end)
  if (!returning) return { body, fields: [] }
  const fragment = returning.fragment.trim()
  if (!body.endsWith(fragment)) {
    throw new ElasticUmzugError('CONFIG_INVALID', 'This release of Sequelize makes a statement that is not known.', {
      next: 'npm install sequelize@^6.37',
    })
  }
  return { body: body.slice(0, -fragment.length), fields: returning.fields }
}

/**
 * `findOrCreate` inserts inside a function of its own, to survive a duplicate key: the change goes in beside it.
 * Behind the last marker stands nothing but Sequelize's own text, so values of the user cannot be taken for it.
 */
function recordingInFunction(changes: string, watched: Watched, sql: string): string {
  const marker = ' INTO response;'
  const at = sql.lastIndexOf(marker) + marker.length
  const row = Object.fromEntries(watched.capture.map((each) => [each, `(response).${quoteName(each)}`]))
  const insert = insertImages(changes, watched, imagesOf(watched.capture, '(SELECT 1) o', row), null)
  return `${sql.slice(0, at)} ${insert};${sql.slice(at)}`
}

/** Columns that tell the rows of a table apart, with the texts of their values in the rows that are meant. */
export interface Rows {
  key: readonly KeyColumn[]
  values: readonly (readonly string[])[]
}

/** Condition that is true for exactly these rows. */
export function amongRows({ key, values }: Rows): string {
  const lists = key.map(({ type }, at) => `${arrayText(values.map((each) => each[at]!))}::text[]::${type}[]`)
  if (lists.length === 1) return `${quoteName(key[0]!.name)} = ANY (${lists[0]})`
  return `(${key.map(({ name }) => quoteName(name)).join(', ')}) IN (SELECT * FROM unnest(${lists.join(', ')}))`
}

/** What is recorded of rows: what they are, and what they become where that is known. */
export interface Recording {
  watched: Watched
  columns: readonly string[] | null
  /** Columns with another value, as SQL; an image for each. Default: one, of the row as it is. */
  images?: readonly Readonly<Record<string, string>>[]
}

/** Which rows are locked, and how. */
export interface Locking {
  table: Table
  /** What the table is called in the condition. */
  alias?: string
  /** Put first: what the condition refers to. */
  withList?: string
  key: readonly KeyColumn[]
  /** Empty for all rows. */
  condition: string
  /** SQL of the most rows that the write takes. */
  limit?: string
  /** One more than these are locked and given, but none is recorded then. */
  most?: number
  strength: 'UPDATE' | 'NO KEY UPDATE'
  record: Recording | undefined
  /** For the one row of an instance: quoted name of the function that records it. */
  single?: string | undefined
}

/** Statement that locks rows, records them as they are when asked, and gives their keys as JSON arrays of texts. */
export function lockingRows(changes: string, locking: Locking): string {
  const { table, alias = table.name, withList = '', key, condition, limit, most, strength, record, single } = locking
  const locked = '"elastic_umzug_locked"'
  const where = condition === '' ? '' : ` WHERE ${condition}`
  const limits = [limit, most === undefined ? undefined : most + 1].filter((each) => each !== undefined)
  const columns = new Set([...key.map(({ name }) => name), ...(record?.watched.capture ?? [])])
  const rows = `${withList}SELECT ${[...columns].map(quoteName).join(', ')} FROM ${quoteTable(table)} AS ${
    quoteName(alias)
  }${where}${limits.length > 0 ? ` LIMIT least(${limits.join(', ')})` : ''} FOR ${strength}`
  const keys = `SELECT ${keyText(key.map(({ name }) => name))} AS key`
  // Outside of what locks: there it would be called again for a row that somebody else has just changed.
  if (record && single !== undefined) {
    return `${keys}, ${recordRow(single, record)} AS recorded FROM (${rows}) ${locked}`
  }
  const few = most === undefined
    ? locked
    : `(SELECT * FROM ${locked} WHERE (SELECT count(*) FROM ${locked}) <= ${most}) f`
  const insert = record && insertImages(changes, record.watched, imageUnion(record, few), record.columns)
  return `WITH ${locked} AS (${rows})${
    insert ? `, "elastic_umzug_captured" AS (${insert})` : ''
  } ${keys} FROM ${locked}`
}

/** Images of rows, and of what they become where that is known. */
export function imageUnion({ watched, images = [{}] }: Pick<Recording, 'watched' | 'images'>, from: string): string {
  return images.map((given) => imagesOf(watched.capture, from, given)).join(' UNION ALL ')
}
