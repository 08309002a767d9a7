/**
 * Triggers made anew after a migration changed their tables.
 * @module
 */
import type { Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'
import {
  apply,
  difference,
  drops,
  forget,
  gapOf,
  type Installed,
  isReplaced,
  isVacant,
  keepPlace,
  readInstalled,
} from './installed.ts'
import { inPassing, type LockMode, type TriggerDeps, withTable } from './lock.ts'
import { registeredNeeds } from './needs.ts'
import { type Plan, planTable } from './plan.ts'
import { readTables, type TableFacts } from './tables.ts'

/**
 * Makes the triggers fit the tables as they are now, in the caller's transaction: the one that renamed or dropped columns
 * or tables, which holds their locks already. A renamed table keeps its triggers; where another one came to stand under
 * its name, that one gets them, and is recorded as a whole. Of a table that is gone only a place is kept, for what comes to
 * stand under its name, and only while versions read it. Where others are in
 * the way nothing is done; `mendTriggers` is for that.
 */
export async function remakeTriggers(store: Store, tx: Queryable): Promise<void> {
  if ((await unfit(store, tx)).length > 0) await inPassing(tx, () => remakeAll(store, tx))
}

/**
 * The same by itself, for what was altered unseen: each time it asks for its locks it lets the application pass. Throws
 * `STOPPED` at the signal; then the triggers are as they were.
 */
export async function mendTriggers(deps: TriggerDeps): Promise<void> {
  const { store } = deps
  const [first] = await unfit(store, store.db)
  if (!first) return
  const work = async (tx: Queryable): Promise<true> => {
    await remakeAll(store, tx)
    return true
  }
  const { facts } = first
  const isDone = facts ? await withTable(deps, facts, modeFor(store, first), work) : await store.db.transaction(work)
  // Gone meanwhile.
  if (!isDone) await mendTriggers(deps)
}

/** A table on record, and the one that its triggers belong on. */
interface Place {
  installed: Installed
  facts: TableFacts | undefined
  /** The new name of a renamed table is on record already: that record takes care of it. */
  isDouble: boolean
  /** A registered version reads a table of its name. */
  isRead: boolean
}

async function unfit(store: Store, on: Queryable): Promise<Place[]> {
  const all = await readInstalled(store, on)
  const tables = await readTables(on, [...new Set(all.flatMap((each) => [each.table, ...placesOf(each)]))])
  const names = new Set(all.map((each) => each.table))
  const read = new Set((await registeredNeeds(store, on)).map((each) => each.table))
  return all.map((installed) => {
    const facts = whereOf(installed, tables)
    const isDouble = facts?.table !== installed.table && names.has(facts?.table ?? '')
    return { installed, facts, isDouble, isRead: installed.state === 'installed' && read.has(installed.table) }
  }).filter((place) => !isFit(store, place))
}

function modeFor(store: Store, { installed, facts, isDouble }: Place): LockMode {
  const isDropping = isDouble || drops(store, installed, planOf(store, installed, facts!))
  return isDropping ? 'ACCESS EXCLUSIVE' : 'SHARE ROW EXCLUSIVE'
}

async function remakeAll(store: Store, tx: Queryable): Promise<void> {
  await tx.query(`LOCK TABLE ${store.table.captured_tables} IN SHARE ROW EXCLUSIVE MODE`)
  for (const { installed, facts, isDouble, isRead } of await unfit(store, tx)) {
    if (!facts || isDouble) await forget(store, tx, installed)
    else await remake(store, tx, installed, facts)
    if (isRead && facts?.table !== installed.table) await keepPlace(store, tx, installed)
  }
}

function placesOf({ found }: Installed): string[] {
  return found.filter((each) => !each.clone).map((each) => `${each.schema}.${each.name}`)
}

// Where the triggers belong: on the table of that name, else on the one that they moved with.
function whereOf(installed: Installed, tables: readonly TableFacts[]): TableFacts | undefined {
  const fit = tables.filter(({ kind }) => kind === 'r' || kind === 'p')
  const named = fit.find((each) => each.table === installed.table)
  const moved = placesOf(installed)[0]
  return named ?? fit.find((each) => each.table === moved)
}

function isFit(store: Store, { installed, facts, isRead }: Place): boolean {
  if (!facts) return isRead && isVacant(installed)
  if (facts.table !== installed.table || gapOf(installed) !== null) return false
  const plan = planOf(store, installed, facts)
  return difference(store, installed, plan).length === 0 && !isReplaced(installed, plan)
}

function planOf(store: Store, { columns, capture, replicated }: Installed, facts: TableFacts): Plan {
  return planTable(store, facts, { table: facts.table, columns, capture, own: false }, replicated)
}

async function remake(store: Store, tx: Queryable, installed: Installed, facts: TableFacts): Promise<void> {
  await tx.query(`UPDATE ${store.table.captured_tables} SET table_name = $2 WHERE table_name = $1`, [
    installed.table,
    facts.table,
  ])
  await apply(store, tx, { ...installed, table: facts.table }, planOf(store, installed, facts))
}
