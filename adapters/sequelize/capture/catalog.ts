/**
 * What the database does by itself when rows change: foreign keys with an action, triggers, rules.
 * @module
 */
import type { Table } from '../../../src/ports.ts'
import type { KeyColumn } from '../keys.ts'
import type { Watch } from './watch.ts'

/** `c` cascade, `n` set null, `d` set default, `a` and `r` refuse. */
export type Action = 'a' | 'r' | 'c' | 'n' | 'd'

/** A foreign key, seen from the table it refers to. */
export interface Reference {
  parent: string
  child: string
  childTable: Table
  parentColumns: string[]
  childColumns: string[]
  onDelete: Action
  onUpdate: Action
  /** SQL of the defaults of the child's columns; null where there is none. */
  defaults: Record<string, string | null>
}

/** What happens to rows: they go, or some of their columns change. */
export type Event = { kind: 'delete' } | { kind: 'update'; columns: readonly string[] }

/** The catalog, as far as it matters to the watched tables. */
export interface Catalog {
  /** Foreign keys that carry the event on to a watched table. */
  carried(table: string, event: Event): Reference[]
  /** Watched tables that a TRUNCATE … CASCADE empties as well. */
  truncated(table: string): string[]
  /** True when an update can change more columns than it sets: generated columns, triggers. */
  changesMore(table: string): boolean
  /** True when it has partitions. */
  partitioned(table: string): boolean
  /** Columns that tell its rows apart: the primary key, else where a row lies, which holds while it is locked. */
  key(table: string): readonly KeyColumn[]
  /** True when statements on it cannot be captured: it has rules, or is no table. */
  unfit(table: string): boolean
}

/** SQL that is true where all statements of a transaction see the snapshot of the first one. */
export const ofSnapshot: string = `current_setting('transaction_isolation') IN ('repeatable read', 'serializable')`

/**
 * SQL giving one row: `ofSnapshot`, and a text `catalog`: JSON of foreign keys, of keys, and of tables out of the ordinary.
 * `$1`: ids of the watched tables.
 */
export const catalogSql: string = `
SELECT ${ofSnapshot} AS "ofSnapshot", json_build_object(
  'references', (
    SELECT coalesce(json_agg(json_build_object(
      'parent', pn.nspname || '.' || p.relname,
      'child', cn.nspname || '.' || c.relname,
      'childTable', json_build_object('schema', cn.nspname, 'name', c.relname),
      'parentColumns', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u(number, n)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number),
      'childColumns', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(number, n)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number),
      'onDelete', k.confdeltype,
      'onUpdate', k.confupdtype,
      'defaults', (SELECT json_object_agg(a.attname, pg_get_expr(d.adbin, d.adrelid)) FROM unnest(k.conkey) u(number)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number
        LEFT JOIN pg_attrdef d ON d.adrelid = k.conrelid AND d.adnum = u.number))), '[]')
    FROM pg_constraint k
    JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
    JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0),
  'keys', (
    SELECT coalesce(json_object_agg(n.nspname || '.' || c.relname, (
      SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) ORDER BY u.n)
      FROM unnest(i.indkey::int2[]) WITH ORDINALITY u(number, n)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number WHERE u.n <= i.indnkeyatts)), '{}')
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.indisprimary AND (n.nspname || '.' || c.relname = ANY ($1)
      OR c.oid IN (SELECT unnest(ARRAY[k.conrelid, k.confrelid]) FROM pg_constraint k WHERE k.contype = 'f'))),
  'changesMore', (
    SELECT coalesce(json_agg(n.nspname || '.' || c.relname), '[]')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'p')
      -- A trigger's type holds a bit each for row (1), before (2) and update (16).
      AND (EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 19 = 19)
        OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attgenerated <> ''))),
  'partitioned', (
    SELECT coalesce(json_agg(n.nspname || '.' || c.relname), '[]')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'p'),
  'unfit', (
    SELECT coalesce(json_agg(n.nspname || '.' || c.relname), '[]')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND (c.relkind IN ('v', 'm') OR EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type <> '1')))
)::text AS catalog`

interface Parsed {
  references: Reference[]
  keys: Record<string, KeyColumn[]>
  changesMore: string[]
  partitioned: string[]
  unfit: string[]
}

const placeOfRow: readonly KeyColumn[] = [{ name: 'tableoid', type: 'oid' }, { name: 'ctid', type: 'tid' }]

/** Reads the answer of `catalogSql`. */
export function parseCatalog(text: string, watch: Watch): Catalog {
  const parsed = JSON.parse(text) as Parsed
  const byParent = new Map<string, Reference[]>()
  for (const each of parsed.references) byParent.set(each.parent, [...(byParent.get(each.parent) ?? []), each])
  const more = new Set(parsed.changesMore)
  const partitioned = new Set(parsed.partitioned)
  const unfit = new Set(parsed.unfit)
  const known = new Map<string, Reference[]>()

  const reaches = (reference: Reference, event: Event, seen: Set<string>): boolean => {
    const next = eventOfChild(reference, event)
    const key = JSON.stringify([reference.child, next])
    if (isRead(watch, reference.child, next)) return true
    if (seen.has(key)) return false
    seen.add(key)
    return references(byParent, reference.child, next).some((each) => reaches(each, next, seen))
  }
  return {
    carried(table, event) {
      const key = JSON.stringify([table, event])
      const found = known.get(key) ??
        references(byParent, table, event).filter((each) => reaches(each, event, new Set()))
      known.set(key, found)
      return found
    },
    truncated: (table) => referring(byParent, table).filter((each) => watch.has(each)),
    key: (table) => parsed.keys[table] ?? placeOfRow,
    changesMore: (table) => more.has(table),
    partitioned: (table) => partitioned.has(table),
    unfit: (table) => unfit.has(table),
  }
}

function references(byParent: Map<string, Reference[]>, table: string, event: Event): Reference[] {
  const all = byParent.get(table) ?? []
  if (event.kind === 'delete') return all.filter(({ onDelete }) => acts(onDelete))
  return all.filter(({ onUpdate, parentColumns }) =>
    acts(onUpdate) && parentColumns.some((each) => event.columns.includes(each))
  )
}

function acts(action: Action): boolean {
  return action === 'c' || action === 'n' || action === 'd'
}

function referring(byParent: Map<string, Reference[]>, table: string): string[] {
  const found = new Set<string>()
  const queue = [table]
  for (let parent = queue.pop(); parent !== undefined; parent = queue.pop()) {
    for (const { child } of byParent.get(parent) ?? []) {
      if (found.has(child)) continue
      found.add(child)
      queue.push(child)
    }
  }
  found.delete(table)
  return [...found]
}

/** What an event of the parent's rows does to the child's. */
export function eventOfChild({ onDelete, childColumns }: Reference, event: Event): Event {
  return event.kind === 'delete' && onDelete === 'c' ? event : { kind: 'update', columns: childColumns }
}

/** True when documents read the table, and of it what the event changes. */
export function isRead(watch: Watch, table: string, event: Event): boolean {
  const watched = watch.get(table)
  if (!watched) return false
  return event.kind === 'delete' || event.columns.some((each) => watched.columns.has(each))
}
