/**
 * Primary keys, with the types of their columns.
 * @module
 */
import type { Queryable, Table } from '../../src/ports.ts'
import { type Catalog, type Column, readCatalog } from '../sequelize/catalog.ts'
import { tableId } from '../sequelize/tables.ts'

/** Tables as the database has them. */
export interface Tables {
  columns: Catalog
  /** As `pg_class.relkind` has it; undefined where there is no such table. */
  kindOf(table: Table): string | undefined
  /** Columns of the primary key in its order; empty where a table has none. */
  keyOf(table: Table): Column[]
}

/** Reads tables; one that does not exist has no columns. */
export async function readTables(db: Queryable, tables: readonly Table[]): Promise<Tables> {
  const columns = await readCatalog(db, tables)
  const rows = await db.query<{ id: string; kind: string; names: string[] }>(
    `SELECT t.schema || '.' || t.name AS id, c.relkind::text AS kind,
       coalesce(json_agg(a.attname ORDER BY k.n) FILTER (WHERE k.n IS NOT NULL), '[]') AS names
     FROM unnest($1::text[], $2::text[]) AS t(schema, name)
     JOIN pg_namespace s ON s.nspname = t.schema
     JOIN pg_class c ON c.relnamespace = s.oid AND c.relname = t.name
     LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
     LEFT JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, n) ON true
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
     GROUP BY t.schema, t.name, c.relkind`,
    [tables.map((each) => each.schema), tables.map((each) => each.name)],
  )
  const found = new Map(rows.map((each) => [each.id, each]))
  return {
    columns,
    kindOf: (table) => found.get(tableId(table))?.kind,
    keyOf: (table) =>
      (found.get(tableId(table))?.names ?? []).map((name) => columns.get(tableId(table))!.columns.get(name)!),
  }
}
