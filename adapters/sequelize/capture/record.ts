/**
 * How one write is recorded: in the statement itself where that says all, else with what must be known before it,
 * read from locked rows in one transaction.
 * @module
 */
import type { Sequelize } from 'sequelize'
import type { Table } from '../../../src/ports.ts'
import { tableId } from '../tables.ts'
import { columnsOf, lockRows, type Recorder, recordMany, recordMoved, recordReferring } from './cascade.ts'
import { lockConflicting, recordUnseen } from './conflict.ts'
import type { Catalog, Event } from './catalog.ts'
import { amongRows, insertWhole, type Recorded, recording, type Rows, type Statement } from './changes.ts'
import { afterCommit, inTransaction, runIn, transactionOf } from './session.ts'
import { tableNamed, type Watch, type Watched } from './watch.ts'
import { type QueryInterfaceLike, type Turn, turned, type Write, type WriteOptions } from './writes.ts'

/** What capturing needs to know at the time of a write. */
export interface Capture {
  queryInterface: QueryInterfaceLike
  sequelize: Sequelize
  /** Quoted name of the table of changes. */
  changes: string
  watch: Watch
  catalog: Catalog
  /** Quoted name of the function that records one row; undefined where it may not be called. */
  record: string | undefined
  /** Outermost transactions that will wake the worker. */
  waking: WeakSet<object>
  wake(): void
  /** Told of a table of which too many rows are written at once to know them one by one. */
  onMany: Recorder['onMany']
}

/** A write with what it means to the documents. */
interface Meaning {
  table: Table
  id: string
  event: Event
  /** Set when documents read what the write changes. */
  watched: Watched | undefined
  /** Columns of the change; null when rows come or go, or when it is not known. */
  columns: string[] | null
}

/** Runs a write and records it; gives what the write gives. Nothing is recorded that no document reads. */
export async function capture(given: Capture, write: Write): Promise<unknown> {
  const { queryInterface, catalog } = given
  const meaning = meaningOf(given, write)
  const { id, event, watched } = meaning
  if (write.kind === 'truncate') return await captureTruncate(given, write, meaning)
  if (write.kind === 'upsert') return watched ? await captureUpsert(given, write, watched) : await pass(given, write)
  if (
    write.kind !== 'insert' && (catalog.carried(id, event).length > 0 || (watched && moves(catalog, event, watched)))
  ) {
    return await captureLocked(given, write, meaning)
  }
  if (!watched) return await pass(given, write)
  const result = await write.call(
    turned(queryInterface, { rewrite: rewriteOf(given, meaning), single: write.single }),
    write.options,
  )
  afterCommit(transactionOf(given.sequelize, write.options), given.waking, given.wake)
  return result
}

function pass({ queryInterface }: Capture, write: Write): Promise<unknown> {
  return write.pass(queryInterface, write.options)
}

function meaningOf({ watch, catalog }: Capture, { kind, tableName, values }: Write): Meaning {
  const table = tableNamed(tableName)
  const id = tableId(table)
  const event: Event = kind === 'update' ? { kind, columns: Object.keys(values) } : { kind: 'delete' }
  const watched = catalog.unfit(id) ? undefined : watch.get(id)
  const columns = columnsOf(catalog, id, event)
  const concerned = columns === null || columns.some((each) => watched?.columns.has(each))
  return { table, id, event, watched: concerned ? watched : undefined, columns }
}

// A row leaves what showed it: which that was, only the row itself knows, and only while it is locked. A trigger may do
// so whatever is set.
function moves(catalog: Catalog, event: Event, { table, capture }: Watched): boolean {
  if (event.kind !== 'update') return false
  return catalog.changesMore(tableId(table)) || event.columns.some((each) => capture.includes(each))
}

function rewriteOf({ changes, record }: Capture, { watched, columns }: Pick<Meaning, 'watched' | 'columns'>) {
  return watched && ((statement: Statement) => recording(changes, { watched, columns, record }, statement))
}

function within<T>(
  given: Capture,
  options: WriteOptions,
  work: (inside: WriteOptions, recorder: Recorder) => Promise<T>,
): Promise<T> {
  const { sequelize, queryInterface: { queryGenerator: generator }, changes, watch, catalog, onMany } = given
  return inTransaction(sequelize, options, async (transaction) => {
    const run = runIn(sequelize, transaction)
    // Tried again, a statement of a failed transaction would only hide why it failed.
    const result = await work({ ...options, transaction, retry: { max: 1 } }, {
      run,
      changes,
      watch,
      catalog,
      generator,
      onMany,
    })
    afterCommit(transaction, given.waking, given.wake)
    return result
  })
}

async function captureLocked(given: Capture, write: Write, meaning: Meaning): Promise<unknown> {
  return await within(given, write.options, async (options, recorder) => {
    const rows = await lockMatching(recorder, write, meaning, given.record)
    if (!rows) {
      const result = await write.pass(given.queryInterface, options)
      await recordMany(recorder, meaning.id, meaning.event)
      return result
    }
    await recordReferring(recorder, { ...meaning, rows }, meaning.event)
    // The same rows and no others: one that begins to match meanwhile comes after this write.
    const turn = { rewrite: rewriteOf(given, meaning), condition: amongRows(rows), single: write.single }
    const result = await write.call(turned(given.queryInterface, turn), options)
    if (meaning.event.kind === 'update') await recordMoved(recorder, meaning.id, write.values)
    return result
  })
}

// What is deleted says by itself what it was; what is updated does not, so it is recorded here.
async function lockMatching(
  recorder: Recorder,
  write: Write,
  { table, id, event, watched, columns }: Meaning,
  record: string | undefined,
): Promise<Rows | undefined> {
  const { generator, catalog } = recorder
  const bind: unknown[] = []
  const condition = write.condition(generator, bind)
  return await lockRows(recorder, {
    table,
    key: catalog.key(id),
    condition,
    ...(event.kind === 'delete' && write.options.limit ? { limit: generator.escape(write.options.limit) } : {}),
    strength: catalog.carried(id, event).length > 0 ? 'UPDATE' : 'NO KEY UPDATE',
    record: event.kind === 'update' && watched ? { watched, columns } : undefined,
    single: write.single ? record : undefined,
  }, bind)
}

async function captureTruncate(given: Capture, write: Write, { id }: Meaning): Promise<unknown> {
  const emptied = [id, ...(write.options.cascade ? given.catalog.truncated(id) : [])]
  const concerned = emptied.map((each) => given.watch.get(each)).filter((each) => each !== undefined)
  if (concerned.length === 0) return await pass(given, write)
  return await within(given, write.options, async (options, { run, changes }) => {
    const result = await write.pass(given.queryInterface, options)
    for (const each of concerned) await run(insertWhole(changes, each))
    return result
  })
}

/**
 * An upsert: where it can move rows, those it will meet are locked and recorded before. One that was inserted after
 * that it meets as well: where it left from, nobody knows any more, so the whole table is recorded then.
 */
async function captureUpsert(given: Capture, write: Write, watched: Watched): Promise<unknown> {
  const { changes, catalog, queryInterface } = given
  const recorded: Recorded = { watched, columns: null }
  const around: Turn['around'] = async (completed, send) => {
    const keys = completed.upsertKeys ?? []
    const set = Object.keys(write.values).filter((each) => !keys.includes(each))
    if (moves(catalog, { kind: 'update', columns: set }, watched)) {
      return await within(given, completed, async (options, recorder) => {
        const met = await lockConflicting(recorder, write.records, watched, keys)
        const split = catalog.partitioned(tableId(watched.table))
        if (!split) recorded.met = met
        const result = await send(options)
        if (split) await recordUnseen(recorder, write.records, watched, met)
        return result
      })
    }
    const result = await send(completed)
    afterCommit(transactionOf(given.sequelize, completed), given.waking, given.wake)
    return result
  }
  const rewrite = (statement: Statement) => recording(changes, recorded, statement)
  return await write.call(turned(queryInterface, { rewrite, around }), write.options)
}
