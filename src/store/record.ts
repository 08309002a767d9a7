/**
 * The database function by which a statement records the row it writes.
 * @module
 */
import type { Store } from './store.ts'

/** Name of the function, in the own schema. */
export const recordName = 'record_change'

/** Types of its arguments. */
export const recordTypes = 'text, text[], text[], text[]'

/**
 * SQL of `record_change(changed_table, changed_columns, names, texts)`: records one row, given by the names of its
 * captured columns and the texts of their values; always true. Called where a statement of the application gives back what
 * it wrote. Its plan is kept by the session: planned anew within each statement, the same insert costs more than
 * many a write. It runs with the rights of the writer, and names all it uses, so it needs no settings of its own.
 */
export function recordFunction({ table, name }: Store): string {
  return `
CREATE FUNCTION ${
    name(recordName)
  }(changed_table text, changed_columns text[], names text[], texts text[]) RETURNS boolean
LANGUAGE plpgsql AS $record$
BEGIN
  INSERT INTO ${table.changes} (table_name, columns, rows)
    VALUES (changed_table, changed_columns, pg_catalog.jsonb_build_array(pg_catalog.jsonb_object(names, texts)));
  RETURN true;
END
$record$`
}
