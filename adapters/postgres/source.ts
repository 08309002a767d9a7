/**
 * A query of the user's own as the source of an index.
 * @module
 */
import { linedDocuments, toLine } from '../sequelize/rows.ts'
import type { Choice, Documents, KeyRange, PageSize, Queryable, Source, Table } from '../../src/ports.ts'
import { ElasticUmzugError } from '../../src/errors.ts'
import { keep } from '../kept.ts'
import { cutText, rowsFor } from '../sequelize/bulk-lines.ts'
import { readCastable } from '../sequelize/castable.ts'
import { idsOf, routed, routingOf, uniqueColumns } from '../sequelize/ids.ts'
import { chosen, keysWhere } from '../sequelize/choice.ts'
import { cutKeys, type Statement } from '../sequelize/statements.ts'
import { tableId } from '../sequelize/tables.ts'
import { readTables, type Tables } from './catalog.ts'
import { queryDependencies } from './dependencies.ts'
import { checkOptions, type FromQueryOptions, nameOf, queryError, type QueryOptions } from './options.ts'
import { countMade, givenKeys, type Made, madeDocuments, type QueryRows, rangeKeys } from './rows.ts'

interface Reading extends QueryRows {
  options: QueryOptions
  /** Bytes a row took on the page before; it bounds the next one before it is read. */
  bytesPerRow: number | undefined
}

/**
 * Makes a source from SQL, for documents that no `include` can express.
 *
 * The query is asked for the rows of the relation `keys`. PostgreSQL makes the documents, a page as one text. What the
 * query reads, PostgreSQL tells, column by column, also through views; of every table but its own it must be said
 * which documents a changed row concerns. What functions read is not seen: name those tables in `dependsOn`, too.
 *
 * ```ts
 * fromQuery({
 *   table: 'orders',
 *   query: `SELECT o.id, o.placed_at, c.name AS customer, (SELECT sum(l.qty * l.price) FROM order_lines l WHERE l.order_id = o.id) AS total
 *     FROM keys JOIN orders o USING (id) JOIN customers c ON c.id = o.customer_id`,
 *   dependsOn: {
 *     order_lines: { key: 'order_id' },
 *     customers: { keys: 'SELECT o.id FROM orders o JOIN changed c ON c.id = o.customer_id' },
 *   },
 * })
 * ```
 *
 * Throws `DEFINITION_INVALID` for options of the wrong kind; using it with a database throws `SOURCE_INVALID` for SQL that
 * PostgreSQL refuses, a table without such a key, a query that leaves out `keys` or the key, and a table it reads that
 * `dependsOn` does not name. A key for which the query gives two rows is held back alone, with that reason.
 */
export function fromQuery(given: FromQueryOptions): Source {
  const options = checkOptions(given)
  const readings = keep((db) => prepare(db, options))
  const { key, routing } = options
  const route = key && routing !== undefined ? (text: string) => routingOf(idsOf(key, routing), text) : undefined
  return {
    table: options.table,
    tables: [options.table, ...options.dependsOn.filter((each) => each.given).map((each) => each.table)],
    dependencies: async (db) => await queryDependencies(db, options, await readings.prepare(db)),
    ...(key === undefined && routing === undefined ? {} : { ids: JSON.stringify({ key, routing }) }),
    ...(route && { routing: route }),
    async page(db, range, size, version) {
      return routed(await readings.using(db, (reading) => readPage(db, reading, range, size, version)), route)
    },
    async byKeys(db, keys, version) {
      const asked = [...new Set(keys)]
      return routed(await readings.using(db, (reading) => readKeys(db, reading, asked, version)), route)
    },
    knowsChanges: options.updatedAt !== undefined,
    keys: (db, choice, after, limit) =>
      readings.using(db, (reading) => chosenKeys(db, reading, choice, { after, limit })),
    count: (db) => readings.using(db, (reading) => countDocuments(db, reading)),
    split: (db, parts) => readings.using(db, (reading) => splitKeys(db, reading, parts)),
  }
}

async function prepare(db: Queryable, options: QueryOptions): Promise<Reading> {
  const { table, query } = options
  const tables = await readTables(db, [table])
  const ids = idsOf(options.key ?? primaryKey(tables, table), options.routing)
  const columnOf = (name: string) => tables.columns.get(tableId(table))?.columns.get(name) ?? missing(table, name)
  const key = ids.key.map(columnOf)
  const fault = (what: string, next: string) => queryError(table, what, next)
  const unique = await uniqueColumns(db, table, ids, key, { isPrimary: options.key === undefined, fault })
  const id = ids.id.map(columnOf)
  return { options, plan: { table, alias: 't' }, key, id, unique, query, bytesPerRow: undefined }
}

function primaryKey(tables: Tables, table: Table): string[] {
  const key = tables.keyOf(table).map((each) => each.name)
  if (key.length > 0) return key
  throw tables.kindOf(table) !== undefined
    ? queryError(table, 'it has no primary key', 'give it one: ALTER TABLE … ADD PRIMARY KEY (…), or name a `key`')
    : queryError(table, 'there is no such table', 'npx umzug up, if a migration makes it; else correct `table`')
}

function missing(table: Table, name: string): never {
  const what = `table ${nameOf(table)} has no column "${name}"`
  throw queryError(table, what, 'npx umzug up, if a migration makes it; else correct `key` or `routing`')
}

/** Rows of one page that are parsed: they take far more memory than text. */
const maxParsed = 500

interface Limits {
  version: string
  bytes: number | null
  keys: boolean
}

async function readPage(
  db: Queryable,
  reading: Reading,
  range: KeyRange,
  size: PageSize,
  version: string,
): Promise<Documents> {
  const rows = rowsFor(size, reading.bytesPerRow)
  const limit = reading.options.document ? Math.min(rows, maxParsed) : rows
  return await documents(db, reading, rangeKeys(reading, range, limit), { version, bytes: size.bytes, keys: false })
}

async function readKeys(
  db: Queryable,
  reading: Reading,
  keys: readonly string[],
  version: string,
): Promise<Documents> {
  const limits = { version, bytes: null, keys: true }
  return await readCastable(db, reading, keys, (some) => documents(db, reading, givenKeys(reading, some), limits))
}

async function documents(
  db: Queryable,
  reading: Reading,
  chosen: Statement,
  { version, bytes, keys }: Limits,
): Promise<Documents> {
  const { document } = reading.options
  const made = await run<Made>(db, madeDocuments(reading, chosen, { version, keys, parsed: document !== undefined }))
  const learn = (body: string) => made.size > 0 && (reading.bytesPerRow = Math.max(1, body.length / made.size))
  const failed = (made.repeated ?? []).map((key) => ({ key, reason: 'the query gives more than one row for this key' }))
  if (!document) {
    learn(made.body)
    const whole = { count: made.count, body: made.body, keys: made.keys ?? [], last: made.last, failed }
    return bytes === null ? whole : cutText(whole, bytes)
  }
  const rows = new Map(made.rows ?? [])
  const lined = await linedDocuments([...rows.keys()], async (key) => {
    const row = await document(rows.get(key)!)
    return row === undefined || row === null ? undefined : toLine(row)
  }, { version, bytes })
  const isCut = lined.last !== null && lined.last !== made.rows!.at(-1)![0]
  if (!isCut) learn(lined.body)
  return { ...lined, last: isCut ? lined.last : made.last, failed: [...lined.failed!, ...failed] }
}

async function countDocuments(db: Queryable, reading: Reading): Promise<number> {
  if (!reading.options.document) return (await run<{ count: number }>(db, countMade(reading))).count
  // What `document()` leaves out is known only by calling it for every row.
  let count = 0
  for (let after: string | null = null;;) {
    const size = { rows: maxParsed, bytes: Infinity }
    const page: Documents = await readPage(db, reading, { after, upTo: null }, size, '0')
    if (page.last === null) return count
    count += page.count
    after = page.last
  }
}

async function chosenKeys(
  db: Queryable,
  reading: Reading,
  { since, where }: Choice,
  page: { after: string | null; limit: number },
): Promise<string[]> {
  const { table, updatedAt } = reading.options
  const name = `fromQuery(${nameOf(table)})`
  if (where !== undefined) {
    throw new ElasticUmzugError('COMMAND_INVALID', `A condition chooses rows of a model, and ${name} has none.`, {
      next: 'name the documents by --ids, or choose by --since',
    })
  }
  const columns = updatedAt === undefined ? [] : [updatedAt]
  return await chosen(db, keysWhere(reading, { columns, since }, [], page), `\`updatedAt\` of ${name}`)
}

async function splitKeys(db: Queryable, reading: Reading, parts: number): Promise<string[]> {
  if (parts <= 1) return []
  const { sql, values } = cutKeys(reading, parts)
  return (await db.query<{ key: string }>(sql, values)).map((each) => each.key)
}

async function run<Row extends object>(db: Queryable, { sql, values }: Statement): Promise<Row> {
  return (await db.query<Row>(sql, values))[0]!
}
