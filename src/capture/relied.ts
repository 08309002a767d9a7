/**
 * Which tables are recorded by their triggers now.
 * @module
 */
import { quoteTable, quoteText } from '../sql.ts'

/** Name of the function that records the changes of a table, in the own schema, from SQL of its number. */
export function functionName(number: string | number): string {
  return typeof number === 'number' ? `capture_${number}` : `'capture_' || ${number}`
}

/**
 * SQL giving a text column `table`: `schema.name` of every table whose triggers are installed, exist on it and are
 * enabled, so that nothing else has to record it. One that is about to lose them (`leaving`) is not among them.
 */
export function reliedSql(schema: string): string {
  const registry = quoteTable({ schema, name: 'captured_tables' })
  return `SELECT t.table_name AS "table" FROM ${registry} t
    WHERE t.state = 'installed' AND t.triggers = (
      SELECT count(*) FROM pg_catalog.pg_trigger g
      JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid JOIN pg_catalog.pg_namespace o ON o.oid = p.pronamespace
      JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE o.nspname = ${quoteText(schema)} AND p.proname = ${functionName('t.number')}
        AND n.nspname || '.' || c.relname = t.table_name AND g.tgenabled IN ('O', 'A'))`
}
