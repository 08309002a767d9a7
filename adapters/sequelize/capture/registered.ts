/**
 * What the registered index versions need recorded, kept fresh: also code that is older than a version records for it.
 * @module
 */
import { reliedSql } from '../../../src/capture/relied.ts'
import { ElasticUmzugError } from '../../../src/errors.ts'
import { quoteTable, quoteText } from '../../../src/sql.ts'
import { recordName, recordTypes } from '../../../src/store/record.ts'
import type { Run } from './session.ts'
import { ofSnapshot } from './catalog.ts'
import { joinWatch, type Registered, type Watch, withoutTables } from './watch.ts'

/** The watched tables as they are known at a moment. */
export interface Fresh {
  watch: Watch
  /** Tables left to their triggers: what is written to them is not recorded here. */
  left: ReadonlySet<string>
  /** Quoted name of the function that records one row; undefined where the writer may not call it. */
  record: string | undefined
  /** The answer it was made from; also another one when foreign keys, triggers or rules are. */
  text: string
  /** On the monotonic clock, before the question was asked. */
  askedAtMs: number
  /** True when it was read in a snapshot, which may be older than the question: it holds for that transaction alone. */
  ofSnapshot: boolean
}

/** What is asked for. */
export interface Question {
  /** What the definitions of this code read. */
  own: Watch
  /** Schema of the own tables. */
  schema: string
  /** True for a table that the config wants captured by triggers. */
  isLeft(table: string): boolean
}

interface Answer {
  reads: string
  catalog: string
  relied: string
  callable: boolean | null
  ofSnapshot: boolean
  stale: boolean
}

/**
 * Asks on the writer's connection; once for all tables, whoever writes. A table is left to its triggers while they are
 * installed, switched on, not about to leave, and the config says so. Throws `CAPTURE_STALE` in a transaction whose
 * snapshot is older than a version.
 */
export async function askRegistered(run: Run, { own, schema, isLeft }: Question): Promise<Fresh> {
  const askedAtMs = performance.now()
  const [row] = await run<Answer>(registeredSql(schema))
  const { reads, catalog, relied, callable, ofSnapshot, stale } = row!
  if (stale) {
    throw new ElasticUmzugError(
      'CAPTURE_STALE',
      'A write was refused: its transaction began before an index version was registered, and cannot see what to record for it.',
      { next: 'run the transaction again, as after any serialization failure' },
    )
  }
  // A snapshot still shows triggers that may be gone before its transaction writes: there, both record.
  const left = new Set(ofSnapshot ? [] : (JSON.parse(relied) as string[]).filter(isLeft))
  const watch = withoutTables(joinWatch(own, JSON.parse(reads) as Registered[]), left)
  const record = callable ? quoteTable({ schema, name: recordName }) : undefined
  return { watch, left, record, text: [reads, catalog, ...left].join('\n'), askedAtMs, ofSnapshot }
}

// Tells whether a row came, went or was replaced in what the catalog is read from. Numbers grow, but may start again.
const catalogMarks = [
  "pg_constraint WHERE contype IN ('f', 'p')",
  'pg_trigger WHERE NOT tgisinternal',
  'pg_rewrite',
  'pg_attrdef',
]
  .map((each) => `SELECT count(*) AS rows, sum(oid::int8) AS numbers, sum(xmin::text::int8) AS writers FROM ${each}`)
  .join(' UNION ALL ')

// Captured columns that a migration has dropped are left out: naming one would make every write fail.
// A sequence is seen as it is now, whatever the snapshot: it tells of versions, and of what they have come to depend on,
// that this transaction cannot see.
function registeredSql(schema: string): string {
  const versions = quoteTable({ schema, name: 'index_versions' })
  const record = `${quoteTable({ schema, name: recordName })}(${recordTypes})`
  const sequence = quoteTable({ schema, name: 'announced_versions' })
  return `
SELECT (
    SELECT coalesce(json_agg(json_build_object('table', e -> 'table', 'columns', e -> 'columns', 'capture', (
      SELECT coalesce(json_agg(c.name), '[]') FROM jsonb_array_elements_text(e -> 'capture') AS c(name)
      WHERE EXISTS (
        SELECT FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE n.nspname || '.' || t.relname = e ->> 'table' AND a.attname = c.name AND NOT a.attisdropped)))
      ORDER BY v.id), '[]')::text
    FROM ${versions} v CROSS JOIN jsonb_array_elements(v.dependencies) e WHERE v.state <> 'dropped') AS reads,
  (SELECT json_agg(json_build_array(rows, numbers, writers)) FROM (${catalogMarks}) m)::text AS catalog,
  (SELECT coalesce(json_agg(r."table" ORDER BY r."table"), '[]')::text FROM (${reliedSql(schema)}) r) AS relied,
  has_function_privilege(to_regprocedure(${quoteText(record)}), 'EXECUTE') AS callable,
  isolation.snapshot AS "ofSnapshot",
  isolation.snapshot AND (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ${sequence}) >
      (SELECT coalesce(max(revision), 0) FROM ${versions}) AS stale
FROM (SELECT ${ofSnapshot} AS snapshot) isolation`
}
