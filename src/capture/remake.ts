/**
 * Triggers made anew after a migration changed their tables.
 * @module
 */
import type { Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { apply, difference, forget, gapOf, type Installed, isReplaced, readInstalled } from './installed.ts'
import { type Plan, planTable } from './plan.ts'
import { readTables, type TableFacts } from './tables.ts'

/**
 * Makes the triggers fit the tables as they are now, in the caller's transaction: the one that renamed or dropped columns
 * or tables, which holds their locks already. A renamed table keeps its triggers; where another one came to stand under
 * its name, that one gets them, and is recorded as a whole. Of a table that is gone nothing is left.
 */
export async function remakeTriggers(store: Store, tx: Queryable): Promise<void> {
  const before = await readInstalled(store, tx)
  const tables = await readTables(tx, [...new Set(before.flatMap((each) => [each.table, ...placesOf(each)]))])
  const work = before.map((installed) => ({ installed, facts: whereOf(installed, tables) }))
  if (work.every((each) => isFit(store, each.installed, each.facts))) return
  await tx.query(`LOCK TABLE ${store.table.captured_tables} IN SHARE ROW EXCLUSIVE MODE`)
  const names = new Set(before.map((each) => each.table))
  for (const { installed, facts } of work) {
    // A renamed table whose new name is on record already: that record takes care of it.
    if (!facts || (facts.table !== installed.table && names.has(facts.table))) await forget(store, tx, installed)
    else if (!isFit(store, installed, facts)) await remake(store, tx, installed, facts)
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

function isFit(store: Store, installed: Installed, facts: TableFacts | undefined): boolean {
  if (facts?.table !== installed.table || gapOf(installed) !== null) return false
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
