/**
 * What the registered index versions need recorded, kept fresh: also code that is older than a version records for it.
 * @module
 */
import { ElasticUmzugError } from '../../../src/errors.ts'
import { quoteTable } from '../../../src/sql.ts'
import type { Run } from './session.ts'
import { joinWatch, type Registered, type Watch } from './watch.ts'

/** The watched tables as they are known at a moment. */
export interface Fresh {
  watch: Watch
  /** The answer it was made from. */
  text: string
  /** On the monotonic clock, before the question was asked. */
  askedAtMs: number
}

/** Asks on the writer's connection. Throws `CAPTURE_STALE` in a transaction whose snapshot is older than a version. */
export async function askRegistered(run: Run, own: Watch, schema: string): Promise<Fresh> {
  const askedAtMs = performance.now()
  const [row] = await run<{ reads: string; stale: boolean }>(registeredSql(schema))
  if (row!.stale) {
    throw new ElasticUmzugError(
      'CAPTURE_STALE',
      'A write was refused: its transaction began before an index version was registered, and cannot see what to record for it.',
      { next: 'run the transaction again, as after any serialization failure' },
    )
  }
  return { watch: joinWatch(own, JSON.parse(row!.reads) as Registered[]), text: row!.reads, askedAtMs }
}

// Captured columns that a migration has dropped are left out: naming one would make every write fail.
// A sequence is seen as it is now, whatever the snapshot: it tells of versions that this transaction cannot see.
function registeredSql(schema: string): string {
  const versions = quoteTable({ schema, name: 'index_versions' })
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
  current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
    AND (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ${sequence}) >
      (SELECT coalesce(max(id), 0) FROM ${versions}) AS stale`
}
