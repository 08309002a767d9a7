/**
 * Identifiers in SQL: the one place that quotes them.
 * @module
 */
import type { Table } from './ports.ts'

/** Quotes one identifier. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Quotes a table with its schema. */
export function quoteTable(table: Table): string {
  return `${quoteName(table.schema)}.${quoteName(table.name)}`
}

/** Quotes a text where no value can be bound: in the body of a function, and where the simple protocol is needed. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
