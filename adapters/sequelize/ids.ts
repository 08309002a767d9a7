/**
 * What makes the `_id` of a document, and what decides its shard.
 * @module
 */
import type { Documents, Queryable, Table } from '../../src/ports.ts'
import { quoteName, quoteTable } from '../../src/sql.ts'
import { type KeyColumn, splitKey, type UniqueColumn } from './keys.ts'

/** The columns of a key. */
export interface Ids {
  /** Those whose values make the text, in their order. */
  key: string[]
  /** Those that tell rows apart. */
  id: string[]
  /** Place in `key` of the one that is the routing. */
  routing: number | undefined
}

/**
 * Columns of a key. Routing stands in it, first where it is no part of the id anyhow: then a row that moves to another
 * shard has another `_id` there, and its old document is one of its own, with a delete of its own.
 */
export function idsOf(id: readonly string[], routing: string | undefined): Ids {
  if (routing === undefined) return { key: [...id], id: [...id], routing: undefined }
  const key = id.includes(routing) ? [...id] : [routing, ...id]
  return { key, id: [...id], routing: key.indexOf(routing) }
}

/** The routing that a key text tells. Elasticsearch takes an empty one for none. */
export function routingOf({ key, routing }: Ids, text: string): string | undefined {
  return (routing === undefined ? undefined : splitKey(text, key.length)?.[routing]) || undefined
}

/** The documents with the routing in their action lines. */
export function routed(documents: Documents, route: ((key: string) => string | undefined) | undefined): Documents {
  const { body } = documents
  if (!route || body === '') return documents
  const lines: string[] = []
  for (let at = 0; at < body.length;) {
    const action = body.indexOf('\n', at)
    const end = body.indexOf('\n', action + 1) + 1
    const { index } = JSON.parse(body.slice(at, action)) as { index: { _id: string } }
    const routing = route(index._id)
    lines.push(
      routing === undefined
        ? body.slice(at, end)
        : `${body.slice(at, action - 2)},"routing":${JSON.stringify(routing)}}}${body.slice(action, end)}`,
    )
    at = end
  }
  return { ...documents, body: lines.join('') }
}

/** Makes the error of a source: what of it is wrong, and what to do. */
export type SourceFault = (what: string, next: string) => Error

/**
 * The columns by which rows are found and read in order: all of `id` where it is the primary key, else those of a unique
 * index among them. Throws by `fault` where there is none, or a column of the key may be null.
 */
export async function uniqueColumns(
  db: Queryable,
  table: Table,
  ids: Ids,
  columns: readonly KeyColumn[],
  { isPrimary, fault }: { isPrimary: boolean; fault: SourceFault },
): Promise<UniqueColumn[]> {
  const facts = isPrimary && ids.routing === undefined ? undefined : await readFacts(db, table, ids.key)
  const loose = facts?.nullable[0]
  if (loose !== undefined) {
    const next = `ALTER TABLE ${quoteTable(table)} ALTER COLUMN ${quoteName(loose)} SET NOT NULL`
    throw fault(`column "${loose}", which makes the id of its documents, may be null`, next)
  }
  const names = isPrimary ? ids.id : facts!.unique.find((each) => each.every((name) => ids.id.includes(name)))
  if (!names) {
    const list = ids.id.map(quoteName).join(', ')
    const what = `no unique index makes sure that no two rows have the same ${ids.id.join(', ')}`
    throw fault(what, `CREATE UNIQUE INDEX CONCURRENTLY ON ${quoteTable(table)} (${list})`)
  }
  return names.map((name) => ({ ...columns[ids.key.indexOf(name)]!, part: ids.key.indexOf(name) }))
}

interface Facts {
  /** Columns of each unique index, in its order. */
  unique: string[][]
  nullable: string[]
}

async function readFacts(db: Queryable, { schema, name }: Table, columns: readonly string[]): Promise<Facts> {
  const [row] = await db.query<Facts>(
    `SELECT (
         SELECT coalesce(json_agg(names ORDER BY json_array_length(names)), '[]') FROM (
           SELECT json_agg(a.attname ORDER BY k.n) AS names
           FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, n)
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
           WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
             AND k.n <= i.indnkeyatts
           GROUP BY i.indexrelid) u) AS unique,
       (SELECT coalesce(json_agg(a.attname), '[]') FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attname = ANY ($3::text[]) AND NOT a.attnotnull) AS nullable
     FROM pg_class c WHERE c.relname = $2 AND c.relnamespace = to_regnamespace($1)`,
    [quoteName(schema), name, columns],
  )
  return row ?? { unique: [], nullable: [] }
}
