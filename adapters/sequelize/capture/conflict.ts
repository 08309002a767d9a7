/**
 * Rows that an upsert will meet.
 * @module
 */
import { quoteTable } from '../../../src/sql.ts'
import type { Recorder } from './cascade.ts'
import { insertWhole, keyText, lockingRows, type Met } from './changes.ts'
import { tableId } from '../tables.ts'
import type { Watched } from './watch.ts'

type Values = Readonly<Record<string, unknown>>

/** Most keys that are kept to ourselves while they are inserted; PostgreSQL's table of locks is not large. */
const mostKeys = 200

/** Locks and records the rows that have these keys already, and gives them. */
export async function lockConflicting(
  recorder: Recorder,
  records: readonly Values[],
  watched: Watched,
  keys: readonly string[],
): Promise<Met> {
  // A key that no row gives is made by the database, and meets no row.
  const given = records.filter((each) => keys.every((key) => each[key] !== null && each[key] !== undefined))
  if (given.length === 0 || keys.length === 0) return { keys, values: [] }
  const met = await lockMet(recorder, given, watched, keys)
  const left = given.length - met.values.length
  if ((keys.length === 1 && left <= 0) || left > mostKeys) return met
  // Another session may be about to insert the same key: whoever comes second must see what the first one made of it.
  await keepToOurselves(recorder, given, watched, keys)
  return await lockMet(recorder, given, watched, keys)
}

async function lockMet(
  recorder: Recorder,
  records: readonly Values[],
  watched: Watched,
  keys: readonly string[],
): Promise<Met> {
  const { condition, bind } = conditionOf(recorder, records, keys)
  const locking = lockingRows(recorder.changes, {
    table: watched.table,
    key: keys.map((name) => ({ name, type: 'text' })),
    condition,
    strength: 'NO KEY UPDATE',
    record: { watched, columns: null },
  })
  const rows = await recorder.run<{ key: string }>(locking, bind)
  return { keys, values: rows.map(({ key }) => key) }
}

function conditionOf({ generator }: Recorder, records: readonly Values[], keys: readonly string[]) {
  const bind: unknown[] = []
  // Each column by itself: with several, some more rows than the upsert meets, which does no harm.
  const lists = keys.map((key) => [key, [...new Set(records.map((each) => each[key]))]])
  const where = generator.whereQuery(Object.fromEntries(lists), { bindParam: generator.bindParam(bind) })
  return { condition: where.replace(/^WHERE /, ''), bind }
}

/**
 * After an upsert of a table with partitions, whose statement cannot say which rows it updated: records the whole table
 * if it updated others than those that were met. Rows that something else has locked since look the same.
 */
export async function recordUnseen(
  recorder: Recorder,
  records: readonly Values[],
  watched: Watched,
  met: Met,
): Promise<void> {
  const { condition, bind } = conditionOf(recorder, records, met.keys)
  const sql = `SELECT ${keyText(met.keys)} AS key FROM ${quoteTable(watched.table)} WHERE ${condition} AND xmax <> 0`
  const known = new Set(met.values)
  const updated = await recorder.run<{ key: string }>(sql, bind)
  if (updated.every(({ key }) => known.has(key))) return
  await recorder.run(insertWhole(recorder.changes, watched))
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
