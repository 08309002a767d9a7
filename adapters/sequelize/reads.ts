/**
 * What is read from each table, over all its places in a plan.
 * @module
 */
import type { Include, Place, Plan, Reads } from './plan.ts'
import { keyOf, tableId } from './tables.ts'

/** Gathers what a plan reads, one entry a table. */
export function gatherReads(plan: Plan): Reads[] {
  const byTable = new Map<string, Reads>()
  const add = (place: Place, capture: string[]): void => {
    const id = tableId(place.table)
    const known = byTable.get(id) ?? { table: place.table, model: place.model, columns: [], capture: [] }
    known.columns = union(known.columns, place.columns)
    known.capture = union(known.capture, capture)
    byTable.set(id, known)
  }
  add(plan, [...new Set([...keyOf(plan.model), ...plan.key])])
  for (const each of includesOf(plan)) {
    add(each, [...keyOf(each.model), each.ownColumn])
    const { through } = each
    if (through) add(through, [...keyOf(through.model), through.parentColumn, through.ownColumn])
  }
  return [...byTable.values()]
}

function union(one: readonly string[], other: Iterable<string>): string[] {
  return [...new Set([...one, ...other])]
}

/** Every include of a plan, parents before children. */
export function includesOf({ includes }: { includes: Include[] }): Include[] {
  return includes.flatMap((each) => [each, ...includesOf(each)])
}
