/**
 * Which tables have triggers, and whether they are as they should be.
 * @module
 */
import type { Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { type Fault, faultOf, isVacant, readInstalled } from './installed.ts'
import { planTable } from './plan.ts'
import { readTables } from './tables.ts'

/** The triggers of one table. */
export interface TriggerState {
  /** `schema.name`. */
  table: string
  /** `leaving` when they are about to be dropped, and nobody relies on them. */
  state: 'installed' | 'leaving'
  /** Whether they run once a statement or once a row. */
  by: 'statement' | 'row'
  /** What `npx umzug up` would mend; null when all is well. */
  fault: Fault | null
}

/** Every table on record that is there, in the order of names. What stands in the database is compared with what this release makes. */
export async function listTriggers(store: Store, on: Queryable): Promise<TriggerState[]> {
  const installed = await readInstalled(store, on)
  const tables = await readTables(on, installed.map((each) => each.table))
  return installed.flatMap((each) => {
    const facts = tables.find(({ table, kind }) => table === each.table && (kind === 'r' || kind === 'p'))
    if (!facts && isVacant(each)) return []
    const plan = facts && planTable(store, facts, { ...each, own: false }, each.replicated)
    const isRow = plan ? plan.by === 'row' : each.found.some((trigger) => trigger.trigger.endsWith('_row'))
    return { table: each.table, state: each.state, by: isRow ? 'row' : 'statement', fault: faultOf(store, each, plan) }
  })
}
