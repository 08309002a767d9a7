/**
 * Which tables a statement means, by the search path of its connection.
 * @module
 */
import { quoteName, quoteTable } from '../../../src/sql.ts'
import type { Table } from '../../../src/ports.ts'
import { tableId } from '../tables.ts'
import type { Target } from './bypass-read.ts'
import type { Catalog } from './catalog.ts'
import type { Run } from './session.ts'
import type { Watch } from './watch.ts'

/** The relation that a name means. */
export interface Meant {
  table: Table
  /** Id of the table under which its rows are captured: what it is a partition of, else itself. */
  id: string
  /** Ids of the tables below a view; empty for a table. */
  below: readonly string[]
}

interface Found {
  schema: string
  name: string
  isView: boolean
  /** Nobody else has the name: the search path does not matter. */
  isUnique: boolean
  /** Itself, what it inherits from, and for views what they read. */
  reached: string[]
}

const sql = `
SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'v' AS "isView",
  (SELECT count(*) FROM pg_class s WHERE s.relname = c.relname AND s.relkind IN ('r', 'p', 'v', 'f')) = 1 AS "isUnique",
  (WITH RECURSIVE reached AS (
     SELECT c.oid
     UNION
     SELECT b.oid FROM reached r CROSS JOIN LATERAL (
       SELECT i.inhparent AS oid FROM pg_inherits i WHERE i.inhrelid = r.oid
       UNION ALL
       SELECT d.refobjid FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
       WHERE w.ev_class = r.oid AND d.refclassid = 'pg_class'::regclass) b)
   SELECT json_agg(rn.nspname || '.' || rc.relname)
   FROM reached r JOIN pg_class rc ON rc.oid = r.oid JOIN pg_namespace rn ON rn.oid = rc.relnamespace) AS reached
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)`

// Kept as long as the catalog is: for some seconds.
const kept = new WeakMap<Catalog, Map<string, Meant>>()

/** Finds what a name means; undefined when there is no such relation. */
export async function meantBy(
  run: Run,
  { watch, catalog }: { watch: Watch; catalog: Catalog },
  { schema, name }: Target,
): Promise<Meant | undefined> {
  const text = schema === undefined ? quoteName(name) : quoteTable({ schema, name })
  const known = kept.get(catalog) ?? new Map<string, Meant>()
  kept.set(catalog, known)
  const before = known.get(text)
  if (before) return before
  const [found] = await run<Found>(sql, [text])
  if (!found) return undefined
  const table = { schema: found.schema, name: found.name }
  const id = found.isView ? undefined : found.reached.find((each) => watch.has(each))
  const meant = { table, id: id ?? tableId(table), below: found.isView ? found.reached : [] }
  if (schema !== undefined || found.isUnique) known.set(text, meant)
  return meant
}
