/**
 * Sends a statement that comes past the models, and records it, on its own connection.
 * @module
 */
import type { Transaction } from 'sequelize'
import type { Piece, Single } from './bypass-read.ts'
import type { Effect, Plan } from './bypass-plan.ts'
import { lockRows, type Recorder, recordMany, recordMoved, recordReferring } from './cascade.ts'
import { amongRows, insertWhole, ownColumn, recordingUsers, type Rows } from './changes.ts'
import type { Run } from './session.ts'
import { unknownValue } from './writes.ts'

/** The members of a connection of pg that are used. */
export interface ConnectionLike {
  query(sql: string, ...rest: unknown[]): unknown
  _invalid?: boolean
}

/** What pg answers. */
export interface ResultLike {
  command: string
  rowCount: number | null
  oid?: number | null
  rows: Record<string, unknown>[]
  fields: { name: string }[]
}

/** A statement on its way. */
export interface Sending {
  connection: ConnectionLike
  transaction: Transaction | null
  sql: string
  parameters: readonly unknown[]
  recorder: Recorder
}

/** Runs one statement on a connection. */
export function query(
  connection: ConnectionLike,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<ResultLike> {
  return new Promise((resolve, reject) => {
    const done = (error: unknown, result: ResultLike) => error ? reject(error) : resolve(result)
    // With an empty list the driver would go another way.
    if (parameters.length === 0) connection.query(sql, done)
    else connection.query(sql, [...parameters], done)
  })
}

/** Runs own statements on a connection. */
export function runOn(connection: ConnectionLike): Run {
  return async (sql, bind) => (await query(connection, sql, bind)).rows as never
}

/** Sends it as planned; gives what the server would have given. Throws what the server says. */
export async function sendPlanned(sending: Sending, plan: Exclude<Plan, { how: 'unseen' }>): Promise<ResultLike> {
  const { connection, sql, parameters, transaction, recorder } = sending
  if (plan.how === 'statement') return await sendRecording(sending, plan.single, plan.effect, parameters)
  if (plan.how === 'locked') return await inTransaction(connection, transaction, () => sendLocked(sending, plan))
  const work = async () => {
    const result = await query(connection, sql, parameters)
    for (const each of plan.tables) await recorder.run(insertWhole(recorder.changes, each))
    return result
  }
  // What ends its transaction by itself cannot be put into another.
  return plan.isFixed ? await work() : await inTransaction(connection, transaction, work)
}

async function sendRecording(
  { connection, recorder }: Sending,
  { verb, body, alias, isReturning }: Single,
  { watched, columns }: Effect,
  parameters: readonly unknown[],
): Promise<ResultLike> {
  if (!watched) return await query(connection, body, parameters)
  const sql = recordingUsers(recorder.changes, { watched, columns }, { body, alias, isReturning })
  const result = await query(connection, sql, parameters)
  if (isReturning) withoutOwn(result)
  else Object.assign(result, { rowCount: Number(result.rows[0]!.n), rows: [], fields: [] })
  return Object.assign(result, { command: verb, oid: verb === 'INSERT' ? 0 : null })
}

function withoutOwn(result: ResultLike): void {
  const own = result.fields.filter(({ name }) => name.startsWith(ownColumn))
  result.fields = result.fields.filter((each) => !own.includes(each))
  for (const row of result.rows) for (const { name } of own) delete row[name]
}

async function sendLocked(
  sending: Sending,
  { single, effect }: { single: Single; effect: Effect },
): Promise<ResultLike> {
  const { recorder } = sending
  const { meant: { id, table }, event } = effect
  const rows = await lockMatching(sending, single, effect)
  if (!rows) {
    const result = await query(sending.connection, sending.sql, sending.parameters)
    await recordMany(recorder, id, event)
    return result
  }
  await recordReferring(recorder, { id, table, rows }, event)
  const { withList, head, tail } = single.parts()
  // The same rows and no others: one that begins to match meanwhile comes after this statement.
  const only = { text: `\nWHERE ${amongRows(rows)}\n`, params: [] }
  const { texts, bind } = renumbered([withList, head, only, tail], sending.parameters)
  const result = await sendRecording(sending, { ...single, body: texts.join('') }, effect, bind)
  if (event.kind === 'update') {
    await recordMoved(recorder, id, Object.fromEntries(event.columns.map((each) => [each, unknownValue])))
  }
  return result
}

async function lockMatching(
  { recorder, parameters }: Sending,
  single: Single,
  effect: Effect,
): Promise<Rows | undefined> {
  const { meant: { id, table }, event, watched, columns, isCarried } = effect
  const parts = single.parts()
  const { texts: [withList, condition], bind } = renumbered([parts.withList, parts.condition], parameters)
  return await lockRows(recorder, {
    table,
    alias: single.alias,
    key: recorder.catalog.key(id),
    withList: withList!,
    // It may end in a comment.
    condition: condition!.trim() === '' ? '' : `${condition}\n`,
    strength: isCarried ? 'UPDATE' : 'NO KEY UPDATE',
    record: event.kind === 'update' && watched ? { watched, columns } : undefined,
  }, bind)
}

// A part of a statement has a part of its values, and PostgreSQL takes none that is not used.
function renumbered(pieces: readonly Piece[], parameters: readonly unknown[]): { texts: string[]; bind: unknown[] } {
  const numbers: number[] = []
  const texts = pieces.map(({ text, params }) => {
    let [made, from] = ['', 0]
    for (const { at, number, length } of params) {
      const place = numbers.includes(number) ? numbers.indexOf(number) + 1 : numbers.push(number)
      made += `${text.slice(from, at)}$${place}`
      from = at + length
    }
    return made + text.slice(from)
  })
  return { texts, bind: numbers.map((each) => parameters[each - 1]) }
}

async function inTransaction<T>(
  connection: ConnectionLike,
  transaction: Transaction | null,
  work: () => Promise<T>,
): Promise<T> {
  if (transaction) return await work()
  await query(connection, 'BEGIN')
  try {
    const result = await work()
    await query(connection, 'COMMIT')
    return result
  } catch (error) {
    // Back in the pool, what others write on this connection would be part of the transaction that is still open.
    await query(connection, 'ROLLBACK').catch(() => void (connection._invalid = true))
    throw error
  }
}
