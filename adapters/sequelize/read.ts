/**
 * Reads documents the way a plan's reading chose: as one text by PostgreSQL, or from instances.
 * @module
 */
import type { Documents, KeyRange, PageSize, Queryable } from '../../src/ports.ts'
import { readCastable } from './castable.ts'
import { keyText } from './keys.ts'
import type { Reading } from './reading.ts'
import { cutText, lastKey, rowsFor } from './bulk-lines.ts'
import { rowDocuments, type RowsLimits } from './rows.ts'
import { bulkText, countRows, cutKeys, keyedRows, pageSelect, rangeRows, type Statement } from './statements.ts'

/** Instances that are made at once: they take far more memory than text. */
const maxInstances = 500

const everything: KeyRange = { after: null, upTo: null }

/** Documents of a range. */
export async function readPage(
  db: Queryable,
  reading: Reading,
  range: KeyRange,
  size: PageSize,
  version: string,
): Promise<Documents> {
  return await (reading.sql ? textPage : instancePage)(db, reading, range, size, version)
}

// Some instances at a time, until the text of their documents fills a page.
async function instancePage(
  db: Queryable,
  reading: Reading,
  { after, upTo }: KeyRange,
  { rows, bytes }: PageSize,
  version: string,
): Promise<Documents> {
  const page: Documents = { count: 0, body: '', keys: [], last: null, failed: [] }
  for (let left = rows; left > 0 && page.body.length < bytes; left -= maxInstances) {
    const range = { after: page.last ?? after, upTo }
    const chosen = rangeRows(reading, keySelect(reading), range, Math.min(left, maxInstances))
    const some = await instanceDocuments(db, reading, chosen, { version, bytes: bytes - page.body.length })
    if (some.last === null) break
    page.count += some.count
    page.body += some.body
    page.keys.push(...some.keys)
    page.failed!.push(...some.failed ?? [])
    page.last = some.last
  }
  return page
}

/** Documents of keys; one that the key's type cannot hold is no key of a row, and does not fail the others. */
export async function readKeys(
  db: Queryable,
  reading: Reading,
  keys: readonly string[],
  version: string,
): Promise<Documents> {
  return await readCastable(db, reading, [...new Set(keys)], (some) => readKnown(db, reading, some, version))
}

async function readKnown(
  db: Queryable,
  reading: Reading,
  keys: readonly string[],
  version: string,
): Promise<Documents> {
  if (reading.sql) {
    const chosen = keyedRows(reading, pageSelect(reading), keys)
    return await textDocuments(db, reading, chosen, { version, keys: true })
  }
  return await instanceDocuments(db, reading, keyedRows(reading, keySelect(reading), keys), { version, bytes: null })
}

/** Number of documents. What `document()` leaves out is known only by calling it for every row. */
export async function countDocuments(db: Queryable, reading: Reading): Promise<number> {
  if (!reading.document) return await countScope(db, reading)
  let count = 0
  for (let after: string | null = null;;) {
    const page: Documents = await readPage(db, reading, { ...everything, after }, {
      rows: maxInstances,
      bytes: Infinity,
    }, '0')
    if (page.last === null) return count
    count += page.count
    after = page.last
  }
}

/** Number of rows in the scope of the source. */
export async function countScope(db: Queryable, reading: Reading): Promise<number> {
  const [row] = await run<{ count: number }>(db, countRows(reading))
  return row!.count
}

/** Keys that cut the table. */
export async function splitKeys(db: Queryable, reading: Reading, parts: number): Promise<string[]> {
  if (parts <= 1) return []
  return (await run<{ key: string }>(db, cutKeys(reading, parts))).map((each) => each.key)
}

function keySelect({ plan, key }: Reading): string {
  return `${keyText(plan.alias, key)} AS key`
}

async function run<Row extends object>(db: Queryable, { sql, values }: Statement): Promise<Row[]> {
  return await db.query<Row>(sql, values)
}

async function textPage(
  db: Queryable,
  reading: Reading,
  range: KeyRange,
  size: PageSize,
  version: string,
): Promise<Documents> {
  const rows = rowsFor(size, reading.bytesPerRow)
  const documents = await textDocuments(db, reading, rangeRows(reading, pageSelect(reading), range, rows), {
    version,
    keys: false,
  })
  if (documents.count > 0) reading.bytesPerRow = documents.body.length / documents.count
  return cutText(documents, size.bytes)
}

interface TextRow {
  count: number
  body: string
  keys: string[] | null
}

type Limits = Parameters<typeof bulkText>[3]

async function textDocuments(db: Queryable, reading: Reading, chosen: Statement, limits: Limits): Promise<Documents> {
  const [row] = await run<TextRow>(db, bulkText(reading, reading.sql!, chosen, limits))
  const { count, body, keys } = row!
  return { count, body, keys: keys ?? [], last: lastKey(body) }
}

async function instanceDocuments(
  db: Queryable,
  reading: Reading,
  chosen: Statement,
  limits: RowsLimits,
): Promise<Documents> {
  const rows = await run<{ key: string }>(db, chosen)
  return await rowDocuments(reading, rows.map((each) => each.key), limits)
}
