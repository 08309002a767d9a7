/**
 * Rows that the database changes by itself, through foreign keys with an action.
 * @module
 */
import { quoteName, quoteTable } from '../../../src/sql.ts'
import type { Table } from '../../../src/ports.ts'
import { type Catalog, type Event, eventOfChild, isRead, type Reference } from './catalog.ts'
import { amongRows, imageUnion, insertImages, insertWhole, type Locking, lockingRows, type Rows } from './changes.ts'
import type { Run } from './session.ts'
import type { Watch, Watched } from './watch.ts'
import { type GeneratorLike, unknownValue } from './writes.ts'

/** What recording needs. */
export interface Recorder {
  run: Run
  /** Quoted name of the table of changes. */
  changes: string
  watch: Watch
  catalog: Catalog
  generator: GeneratorLike
  /** Told of a table of which too many rows are written at once to know them one by one. */
  onMany(table: string): void
}

/** Most rows that are known one by one: their keys are held in memory, and put into one statement. */
const mostLocked = 100_000

/** What is told of a table of which more are written at once. */
export function manyText(table: string): string {
  return `One write takes more than ${mostLocked} rows of ${table}, too many to know them one by one: each time every ` +
    `document that shows the table is written. To avoid it, write fewer rows at a time.`
}

/** Locked rows of one table. */
interface TableRows {
  id: string
  table: Table
  rows: Rows
}

/**
 * Records, as they are now, the rows that an event of these locked rows will change, however deep. The rows are
 * locked first, so nobody can make another row refer to them between this and the event.
 */
export async function recordReferring(
  recorder: Recorder,
  parents: TableRows,
  event: Event,
  seen = new Set<string>(),
): Promise<void> {
  const fresh = withoutSeen(parents, event, seen)
  if (fresh.rows.values.length === 0) return
  for (const reference of recorder.catalog.carried(parents.id, event)) {
    const rows = await recordChildren(recorder, reference, fresh, event)
    const children = { id: reference.child, table: reference.childTable, rows }
    await recordReferring(recorder, children, eventOfChild(reference, event), seen)
  }
}

// Gives the children when they have children of their own to be looked at.
async function recordChildren(
  recorder: Recorder,
  reference: Reference,
  parents: TableRows,
  event: Event,
): Promise<Rows> {
  const { run, changes, watch, catalog } = recorder
  const { child, childTable, childColumns, parentColumns } = reference
  const next = eventOfChild(reference, event)
  const watched = isRead(watch, child, next) ? watch.get(child) : undefined
  const record = watched && { watched, columns: columnsOf(catalog, child, next), images: imagesAfter(reference, event) }
  const condition =
    `(${childColumns.map(quoteName).join(', ')}) IN (SELECT ${parentColumns.map(quoteName).join(', ')} ` +
    `FROM ${quoteTable(parents.table)} WHERE ${amongRows(parents.rows)})`
  const key = catalog.key(child)
  if (catalog.carried(child, next).length > 0) {
    const rows = await lockRows(recorder, { table: childTable, key, condition, strength: 'UPDATE', record })
    if (rows) return rows
    await recordMany(recorder, child, next)
    return { key, values: [] }
  }
  if (record) {
    const from = `(SELECT * FROM ${quoteTable(childTable)} WHERE ${condition}) o`
    await run(insertImages(changes, record.watched, imageUnion(record, from), record.columns))
  }
  return { key, values: [] }
}

/** Locks rows, records them when asked, and gives them; undefined when they are too many: none is recorded then. */
export async function lockRows(
  { run, changes }: Recorder,
  locking: Locking,
  bind: readonly unknown[] = [],
): Promise<Rows | undefined> {
  const found = await run<{ key: string }>(lockingRows(changes, { ...locking, most: mostLocked }), bind)
  if (found.length > mostLocked) return undefined
  return { key: locking.key, values: found.map(({ key }) => JSON.parse(key)) }
}

/**
 * Records as a whole a table of which too many rows are written to know them, and the tables of the rows that they may
 * take along: all documents that show one are written then, also those that showed it before.
 */
export async function recordMany(
  { run, changes, watch, catalog, onMany }: Recorder,
  table: string,
  event: Event,
): Promise<void> {
  onMany(table)
  const further = catalog.carried(table, event).length > 0 ? catalog.truncated(table) : []
  const reached = [table, ...further].map((each) => watch.get(each)).filter((each) => each !== undefined)
  for (const each of reached) await run(insertWhole(changes, each))
}

// A row that is set to its default joins another parent: that one shows it, too.
function imagesAfter(
  { onDelete, onUpdate, childColumns, defaults }: Reference,
  event: Event,
): Record<string, string>[] {
  if ((event.kind === 'delete' ? onDelete : onUpdate) !== 'd') return [{}]
  return [{}, Object.fromEntries(childColumns.map((each) => [each, `(${defaults[each] ?? 'NULL'})`]))]
}

/** Columns of a change; null when rows go, or when the database may change more of them. */
export function columnsOf(catalog: Catalog, table: string, event: Event): string[] | null {
  return event.kind === 'delete' || catalog.changesMore(table) ? null : [...event.columns]
}

// Rows may refer to each other in a circle.
function withoutSeen({ id, table, rows }: TableRows, event: Event, seen: Set<string>): TableRows {
  const nameOf = (row: readonly string[]) => JSON.stringify([id, event, row])
  const values = rows.values.filter((each) => !seen.has(nameOf(each)))
  for (const each of values) seen.add(nameOf(each))
  return { id, table, rows: { key: rows.key, values } }
}

/**
 * Records the rows that an update of a key has changed in other tables, with their new key. A value that only the
 * database knows concerns the whole table: rare enough, and never too little.
 */
export async function recordMoved(
  recorder: Recorder,
  table: string,
  values: Readonly<Record<string, unknown>>,
  seen = new Set<Reference>(),
): Promise<void> {
  const event: Event = { kind: 'update', columns: Object.keys(values) }
  for (const reference of recorder.catalog.carried(table, event)) {
    if (reference.onUpdate !== 'c' || seen.has(reference)) continue
    seen.add(reference)
    const moved = movedColumns(reference, values)
    const watched = recorder.watch.get(reference.child)
    if (watched && isRead(recorder.watch, reference.child, eventOfChild(reference, event))) {
      await recordWhere(recorder, watched, moved)
    }
    await recordMoved(recorder, reference.child, moved, seen)
  }
}

function movedColumns(
  { parentColumns, childColumns }: Reference,
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const moved = parentColumns.map((each, at) => [childColumns[at]!, values[each]] as const)
  return Object.fromEntries(moved.filter(([, value]) => value !== undefined))
}

async function recordWhere(
  { run, changes, generator, catalog }: Recorder,
  watched: Watched,
  moved: Record<string, unknown>,
): Promise<void> {
  if (!Object.values(moved).every(isKnown)) return void (await run(insertWhole(changes, watched)))
  const bind: unknown[] = []
  const where = generator.whereQuery(moved, { bindParam: generator.bindParam(bind) })
  const from = `(SELECT * FROM ${quoteTable(watched.table)} ${where}) o`
  const id = `${watched.table.schema}.${watched.table.name}`
  const columns = columnsOf(catalog, id, { kind: 'update', columns: Object.keys(moved) })
  await run(insertImages(changes, watched, imageUnion({ watched }, from), columns), bind)
}

function isKnown(value: unknown): boolean {
  return value !== unknownValue && (typeof value !== 'object' || value instanceof Date || value instanceof Uint8Array)
}
