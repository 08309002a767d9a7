/**
 * What the catalog says of tables whose changes are to be recorded.
 * @module
 */
import type { Queryable, Table } from '../ports.ts'

/** A column. */
export interface ColumnFacts {
  name: string
  /** Its number, which a rename keeps. */
  number: number
  /** The server's number of its type. */
  type: string
  /** False when a session's settings change how its values are printed. */
  plain: boolean
  /** True when it is computed whenever it is read: no trigger sees its value. */
  virtual: boolean
}

/** A table as it is. */
export interface TableFacts extends Table {
  /** `schema.name`. */
  table: string
  /** The server's number of it. */
  oid: string
  /** `r` table, `p` partitioned, `v` view, `m` materialized view, `f` foreign table. */
  kind: 'r' | 'p' | 'v' | 'm' | 'f'
  /** Whether it has a primary key. */
  hasKey: boolean
  /** Numbers of the columns of its primary key; none when it has none. */
  key: number[]
  /** Whether it has partitions or children, or is one. */
  inTree: boolean
  /** Columns that are not dropped, in their order. */
  columns: ColumnFacts[]
  /** Partitions and children at any depth, without foreign tables. */
  below: (Table & { partition: boolean })[]
}

// Types whose text is the same under every setting of a session.
const plainTypes = [
  'bool',
  'bpchar',
  'int2',
  'int4',
  'int8',
  'json',
  'jsonb',
  'name',
  'numeric',
  'oid',
  'text',
  'uuid',
  'varchar',
]
  .map((each) => `'${each}'`).join(', ')

/** Reads the tables with these names (`schema.name`); one that is gone is missing. */
export async function readTables(on: Queryable, tables: readonly string[]): Promise<TableFacts[]> {
  return await on.query<TableFacts & object>(
    `SELECT n.nspname || '.' || c.relname AS "table", n.nspname AS schema, c.relname AS name, c.oid::text AS oid,
       c.relkind::text AS kind,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) AS "hasKey",
       (SELECT coalesce(json_agg(k.number), '[]') FROM pg_index i
         CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS k(number)
         WHERE i.indrelid = c.oid AND i.indisprimary) AS key,
       c.relkind = 'p' OR EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid)) AS "inTree",
       (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'number', a.attnum,
           'type', a.atttypid::text, 'virtual', a.attgenerated = 'v',
           'plain', t.typtype = 'e' OR t.typnamespace = 'pg_catalog'::regnamespace AND t.typname IN (${plainTypes}))
           ORDER BY a.attnum), '[]')
         FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (WITH RECURSIVE below (oid) AS (
           SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = c.oid
           UNION SELECT i.inhrelid FROM pg_inherits i JOIN below b ON i.inhparent = b.oid)
         SELECT coalesce(json_agg(json_build_object('schema', bn.nspname, 'name', bc.relname,
           'partition', bc.relispartition) ORDER BY bn.nspname, bc.relname), '[]')
         FROM below JOIN pg_class bc ON bc.oid = below.oid JOIN pg_namespace bn ON bn.oid = bc.relnamespace
         WHERE bc.relkind IN ('r', 'p')) AS below
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname || '.' || c.relname = ANY ($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
     ORDER BY 1`,
    [tables],
  )
}
