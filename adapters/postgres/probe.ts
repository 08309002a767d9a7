/**
 * What a query reads and gives, by PostgreSQL's own account: it is made into a view that nobody ever sees, for the columns
 * that a view depends on are in the catalog.
 * @module
 */
import type { Db, Queryable, Table } from '../../src/ports.ts'
import { quoteName } from '../../src/sql.ts'

/** A relation under which a query finds what it is asked for. */
export interface Asked {
  /** `keys` or `changed`. */
  name: string
  /** SQL of its rows. */
  sql: string
}

/** A table that a query reads, directly or through views. */
export interface TableRead extends Table {
  /** As `pg_class.relkind` has it. */
  kind: string
  columns: string[]
}

/** What is known of a query. */
export interface Probed {
  /** Names of the columns it gives. */
  gives: string[]
  /** Tables it reads; those of PostgreSQL itself are left out. */
  reads: TableRead[]
  /** Columns of the relation asked that it reads; undefined when it does not read it at all. */
  asked: string[] | undefined
}

class Undone extends Error {}

/** Looks at a query over what is asked. Throws what PostgreSQL says when it refuses it; leaves nothing behind. */
export async function probe(db: Db, { name, sql }: Asked, query: string): Promise<Probed> {
  let found: Probed | undefined
  await db.transaction(async (tx) => {
    await tx.query(`CREATE TEMPORARY VIEW ${quoteName(name)} AS ${sql}`)
    // In brackets, so that it can only be one statement, and on lines of its own, so that it may end in a comment.
    await tx.query(`CREATE TEMPORARY VIEW ${quoteName(probeName)} AS SELECT * FROM (\n${query}\n) AS q`)
    found = await readProbe(tx, name)
    throw new Undone()
  }).catch((error: unknown) => {
    if (!(error instanceof Undone)) throw error
  })
  return found!
}

const probeName = 'elastic_umzug_probe'

async function readProbe(tx: Queryable, name: string): Promise<Probed> {
  const gives = await tx.query<{ name: string }>(
    `SELECT attname::text AS name FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum`,
    [`pg_temp.${probeName}`],
  )
  const reads = await tx.query<TableRead & { asked: boolean }>(readsSql, [
    `pg_temp.${probeName}`,
    `pg_temp.${quoteName(name)}`,
  ])
  return {
    gives: gives.map((each) => each.name),
    reads: reads.filter((each) => !each.asked),
    asked: reads.find((each) => each.asked)?.columns,
  }
}

// A whole row (`to_json(l)`) names no column: the tree of the query shows it as column 0, with the type of the row, or
// with none (2249) where it is a row of joined tables under one name. It reads all columns.
const readsSql = `
WITH RECURSIVE views(oid) AS (
  SELECT to_regclass($1)::oid
  UNION
  SELECT c.oid FROM views v JOIN pg_rewrite r ON r.ev_class = v.oid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'v' AND c.oid <> to_regclass($2)
), used AS (
  SELECT c.oid, c.relnamespace, c.relname, c.relkind, d.refobjsubid AS number,
    position(':varattno 0 :vartype ' || c.reltype || ' ' IN r.ev_action::text) > 0
      OR (r.ev_action::text ~ ':alias \\{ALIAS [^{}]*\\} :eref \\{ALIAS [^{}]*\\} :rtekind 2 '
        AND position(':varattno 0 :vartype 2249 ' IN r.ev_action::text) > 0) AS whole
  FROM views v JOIN pg_rewrite r ON r.ev_class = v.oid
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
  JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'm', 'f', 'v')
  WHERE c.relnamespace <> 'pg_catalog'::regnamespace AND (c.relkind <> 'v' OR c.oid = to_regclass($2))
)
SELECT n.nspname::text AS schema, u.relname::text AS name, u.relkind::text AS kind, u.oid = to_regclass($2) AS asked, (
    SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]') FROM pg_attribute a
    WHERE a.attrelid = u.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND (bool_or(u.whole) OR a.attnum = ANY (array_agg(u.number)))) AS columns
FROM used u JOIN pg_namespace n ON n.oid = u.relnamespace
GROUP BY u.oid, n.nspname, u.relname, u.relkind ORDER BY 1, 2`
