/**
 * How the documents of a plan are made, as a text that two versions can be compared by.
 * @module
 */
import type { Reading } from './reading.ts'
import { bulkText, pageSelect, rangeRows } from './statements.ts'

/** The statement that makes a page; undefined where instances, and with them code of the application, make documents. */
export function makingOf(reading: Reading): string | undefined {
  if (!reading.sql) return undefined
  const chosen = rangeRows(reading, pageSelect(reading), { after: null, upTo: null }, 1)
  return bulkText(reading, reading.sql, chosen, { version: '0', keys: false }).sql
}
