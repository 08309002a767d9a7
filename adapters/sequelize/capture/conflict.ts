/**
 * Rows that an upsert will meet.
 * @module
 */
import { lockRows, type Recorder } from './cascade.ts'
import { tableId } from '../tables.ts'
import type { Watched } from './watch.ts'

type Values = Readonly<Record<string, unknown>>

/** Most keys that are kept to ourselves while they are inserted; PostgreSQL's table of locks is not large. */
const mostKeys = 200

/** Locks and records the rows that have these keys already. */
export async function lockConflicting(
  recorder: Recorder,
  records: readonly Values[],
  watched: Watched,
  keys: readonly string[],
): Promise<void> {
  // A key that no row gives is made by the database, and meets no row.
  const given = records.filter((each) => keys.every((key) => each[key] !== null && each[key] !== undefined))
  if (given.length === 0 || keys.length === 0) return
  const met = await lockMet(recorder, given, watched, keys)
  if ((keys.length === 1 && met >= given.length) || given.length - met > mostKeys) return
  // Another session may be about to insert the same key: whoever comes second must see what the first one made of it.
  await keepToOurselves(recorder, given, watched, keys)
  await lockMet(recorder, given, watched, keys)
}

async function lockMet(
  recorder: Recorder,
  records: readonly Values[],
  watched: Watched,
  keys: readonly string[],
): Promise<number> {
  const { generator, catalog } = recorder
  const bind: unknown[] = []
  // Each column by itself: with several, some more rows than the upsert meets, which does no harm.
  const lists = keys.map((key) => [key, [...new Set(records.map((each) => each[key]))]])
  const where = generator.whereQuery(Object.fromEntries(lists), { bindParam: generator.bindParam(bind) })
  const rows = await lockRows(recorder, {
    table: watched.table,
    key: catalog.key(tableId(watched.table)),
    condition: where.replace(/^WHERE /, ''),
    strength: 'NO KEY UPDATE',
    record: { watched, columns: null },
  }, bind)
  return rows.values.length
}

// In one order, so that two of us cannot wait for each other. The insert itself would wait for the same sessions.
async function keepToOurselves(
  { run }: Recorder,
  records: readonly Values[],
  { table }: Watched,
  keys: readonly string[],
): Promise<void> {
  const texts = records.map((each) => JSON.stringify([tableId(table), ...keys.map((key) => String(each[key]))])).slice(
    0,
    mostKeys,
  )
  const sql =
    'SELECT pg_advisory_xact_lock(k)::text FROM (SELECT DISTINCT hashtextextended(t, 0) AS k FROM unnest($1::text[]) t ORDER BY k OFFSET 0) o'
  await run(sql, [texts])
}
