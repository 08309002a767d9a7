/**
 * Columns and their types as the database has them.
 * @module
 */
import type { Queryable, Table } from '../../src/ports.ts'
import type { KeyColumn } from './keys.ts'
import { sourceError } from './faults.ts'
import type { Place } from './plan.ts'
import { tableId } from './tables.ts'

/** A column; domains are seen through. */
export interface Column extends KeyColumn {
  /** Oid of the type. */
  oid: number
  /** Name of the type, and of an array's elements. */
  typeName: string
  element: string | null
  /** `b` base, `e` enum, `r` range, `c` composite; of an array, of its elements. */
  kind: string
  /** True for a type that comes with PostgreSQL. */
  builtIn: boolean
}

/** Columns of one table. */
export interface TableColumns {
  columns: Map<string, Column>
  /** True when the database itself changes columns in an update: generated ones, or by a trigger before it. */
  rewritten: boolean
}

/** Columns of tables by `schema.name`. */
export type Catalog = Map<string, TableColumns>

interface CatalogRow extends Column {
  schema: string
  table: string
  rewritten: boolean
}

/** Reads the columns of tables; a table that does not exist is missing. */
export async function readCatalog(db: Queryable, tables: readonly Table[]): Promise<Catalog> {
  const rows = await db.query<CatalogRow>(
    `SELECT t.schema, t.name AS "table", a.attname::text AS name, y.oid, y.typname::text AS "typeName", e.typname::text AS element,
       coalesce(e.typtype, y.typtype)::text AS kind, coalesce(e.typnamespace, y.typnamespace) = 'pg_catalog'::regnamespace AS "builtIn",
       CASE WHEN y.typnamespace = 'pg_catalog'::regnamespace THEN format_type(y.oid, coalesce(nullif(d.typtypmod, -1), a.atttypmod))
         ELSE format('%I.%I', y.typnamespace::regnamespace::text, y.typname) END AS type,
       bool_or(a.attgenerated <> '') OVER (PARTITION BY c.oid) OR EXISTS (
         SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & 19 = 19) AS rewritten
     FROM unnest($1::text[], $2::text[]) AS t(schema, name)
     JOIN pg_namespace n ON n.nspname = t.schema
     JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.name
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     CROSS JOIN LATERAL (
       WITH RECURSIVE base AS (
         SELECT p.oid, p.typbasetype, p.typtypmod, p.typtype FROM pg_type p WHERE p.oid = a.atttypid
         UNION ALL SELECT p.oid, p.typbasetype, CASE WHEN p.typtype = 'd' THEN p.typtypmod ELSE base.typtypmod END, p.typtype
         FROM base JOIN pg_type p ON p.oid = base.typbasetype WHERE base.typtype = 'd')
       SELECT oid, typtypmod FROM base WHERE typtype <> 'd') d
     JOIN pg_type y ON y.oid = d.oid
     LEFT JOIN pg_type e ON e.oid = y.typelem AND y.typcategory = 'A'`,
    [tables.map((each) => each.schema), tables.map((each) => each.name)],
  )
  const catalog: Catalog = new Map()
  for (const { schema, table, rewritten, ...column } of rows) {
    const id = tableId({ schema, name: table })
    const known = catalog.get(id) ?? { columns: new Map<string, Column>(), rewritten }
    known.columns.set(column.name, column)
    catalog.set(id, known)
  }
  return catalog
}

/** The column of a place. Throws `SOURCE_INVALID` when the table or the column does not exist. */
export function columnIn(catalog: Catalog, { model, table }: Pick<Place, 'model' | 'table'>, name: string): Column {
  const known = catalog.get(tableId(table))
  const found = known?.columns.get(name)
  if (found) return found
  const what = known ? `table ${tableId(table)} has no column "${name}"` : `there is no table ${tableId(table)}`
  throw sourceError(model, what, 'npx umzug up, if a migration makes it; else correct the model or its `attributes`')
}

/** Columns of a place, as a key. */
export function columnsIn(catalog: Catalog, place: Pick<Place, 'model' | 'table'>, names: readonly string[]): Column[] {
  return names.map((each) => columnIn(catalog, place, each))
}
