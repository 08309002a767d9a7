/**
 * Pieces of SQL that the functions of triggers are made of.
 * @module
 */
import { quoteName, quoteText } from '../sql.ts'
import type { ColumnFacts, TableFacts } from './tables.ts'

/** What a function is made for. */
export interface Recorded {
  /** Quoted name of the table of changes. */
  changes: string
  /** The table whose name the changes carry. */
  facts: TableFacts
  /** Columns that are read or recorded: an update of others records nothing. */
  columns: ColumnFacts[]
  /** Columns whose values are recorded. */
  capture: ColumnFacts[]
  /** Names of virtual columns that are read: they may change with any other. */
  virtual: string[]
}

/** SQL of the value of a column. */
export type ValueOf = (column: ColumnFacts) => string

// A function takes at most 100 arguments.
const mostArguments = 50

/** SQL of the image of a row: column → value as text, as PostgreSQL prints it. */
export function image(columns: readonly ColumnFacts[], valueOf: ValueOf): string {
  const pairs = columns.map((each) => `${quoteText(each.name)}, ${valueOf(each)}::text`)
  return chunks(pairs, mostArguments).map((each) => `jsonb_build_object(${each.join(', ')})`).join(' || ') ||
    `'{}'::jsonb`
}

// The server's numbers of bool, int8, int2, int4, oid, numeric and uuid.
const unescaped = new Set(['16', '20', '21', '23', '26', '1700', '2950'])

/**
 * The same image as the text of JSON: of many rows, put together and read at once, it costs a fraction of the objects. Values
 * of these types have nothing that JSON would escape: it holds only while the columns have them.
 */
export function imageText(columns: readonly ColumnFacts[], valueOf: ValueOf): string {
  const pairs = columns.map((each) => {
    const value = `${valueOf(each)}::text`
    const text = unescaped.has(each.type) ? `'"' || ${value} || '"'` : `to_json(${value})::text`
    return `${quoteText(`${JSON.stringify(each.name)}:`)} || coalesce(${text}, 'null')`
  })
  return ["'{'", pairs.join(` || ',' || `), "'}'"].filter((each) => each !== '').join(' || ')
}

/**
 * SQL that is true when one of the columns is another before and after. Compares what is stored, which every type
 * allows, also those without equality; and where equal values print differently (`1.0`, `1.00`), documents do.
 */
export function differ(columns: readonly ColumnFacts[], before: ValueOf, after: ValueOf): string {
  if (columns.length === 0) return 'false'
  return `record_image_ne(ROW(${columns.map(before).join(', ')}), ROW(${columns.map(after).join(', ')}))`
}

// The server's numbers of bool, int8, int2, int4, oid and uuid: what is equal is the same there, and prints alike.
const exact = new Set(['16', '20', '21', '23', '26', '2950'])
// Of text and varchar: compared byte by byte.
const textual = new Set(['25', '1043'])

/** The same, cheaper, for many rows: only while the columns still have the types that they had. */
export function differByType(columns: readonly ColumnFacts[], before: ValueOf, after: ValueOf): string {
  const isEasy = ({ type }: ColumnFacts) => exact.has(type) || textual.has(type)
  const easy = columns.filter(isEasy).map((each) => {
    const collation = textual.has(each.type) ? ' COLLATE "C"' : ''
    return `${before(each)}${collation} IS DISTINCT FROM ${after(each)}${collation}`
  })
  const others = columns.filter((each) => !isEasy(each))
  return `(${[...easy, ...others.length > 0 || easy.length === 0 ? [differ(others, before, after)] : []].join(' OR ')})`
}

/** INSERT of one change from SQL of its images and of the changed columns. */
export function insertChange({ changes, facts }: Recorded, images: string, columns: string = 'NULL'): string {
  return `INSERT INTO ${changes} (table_name, rows, columns) VALUES (${quoteText(facts.table)}, ${images}, ${columns});`
}

/** INSERT of the change of a whole table. */
export function insertWhole({ changes, facts }: Pick<Recorded, 'changes' | 'facts'>): string {
  return `INSERT INTO ${changes} (table_name) VALUES (${quoteText(facts.table)});`
}

/** SQL of the array of the names of those columns whose condition is true. */
export function changedNames({ columns, virtual }: Recorded, condition: ValueOf): string {
  const names = columns.map((each) => `CASE WHEN ${condition(each)} THEN ${quoteText(each.name)} END`)
  return `array_remove(ARRAY[${[...names, ...virtual.map(quoteText)].join(', ')}]::text[], NULL)`
}

/**
 * EXECUTE of an INSERT made on the spot from the columns as they are called now, for when one is gone: every row of a
 * relation is recorded, whatever changed. A column is looked for by its name, then by its number, which a rename keeps
 * (and a restored dump does not). `owner` is SQL of the table that the numbers are those of.
 */
export function executeSpotted({ changes, facts, capture }: Recorded, owner: string, relation: string): string {
  const names = capture.map((each) => quoteText(each.name)).join(', ')
  const numbers = capture.map((each) => each.number).join(', ')
  const insert =
    `INSERT INTO ${changes} (table_name, rows) SELECT ${quoteText(facts.table)}, jsonb_agg(b.image) FROM ` +
    `(SELECT to_jsonb(i) AS image, (row_number() OVER () - 1) / ${mostRows} AS batch FROM (SELECT `
  return `EXECUTE ${quoteText(insert)} || coalesce((
        SELECT string_agg(format('%I::text AS %I', a.attname, k.name), ', ')
        FROM unnest(ARRAY[${names}]::text[], ARRAY[${numbers}]::int2[]) AS k(name, number)
        CROSS JOIN LATERAL (
          SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = ${owner} AND NOT a.attisdropped
            AND (a.attname = k.name OR a.attnum = k.number) ORDER BY a.attname = k.name DESC LIMIT 1) a), '')
      || ' FROM ' || ${relation} || ') i) b GROUP BY b.batch'`
}

/** Most rows of one change. */
export const mostRows = 1_000

/** Cuts a list into parts. */
export function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, at) => list.slice(at * size, (at + 1) * size))
}

/** A column of OLD or NEW. */
export function fieldOf(row: 'OLD' | 'NEW'): ValueOf {
  return ({ name }) => `${row}.${quoteName(name)}`
}
