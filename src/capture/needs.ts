/**
 * What is needed of each table: the union of what all documents that read it need.
 * @module
 */
import type { Dependency, Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'

/** What must be recorded of one table. */
export interface TableNeeds {
  /** `schema.name`. */
  table: string
  /** Columns that documents read or are joined by; a change of others is not recorded. */
  columns: string[]
  /** Columns whose values are recorded of every changed row, old and new. */
  capture: string[]
  /** True when its rows are documents: then it needs a primary key. */
  own: boolean
}

/** The needs of dependencies, one entry a table, in the order of names. */
export function joinNeeds(
  dependencies: readonly Pick<Dependency, 'table' | 'columns' | 'capture' | 'own'>[],
): TableNeeds[] {
  const tables = [...new Set(dependencies.map((each) => each.table))].sort()
  return tables.map((table) => {
    const of = dependencies.filter((each) => each.table === table)
    return {
      table,
      columns: union(of.map((each) => each.columns)),
      capture: union(of.map((each) => each.capture)),
      own: of.some((each) => each.own),
    }
  })
}

function union(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort()
}

/** What all registered versions need that are not dropped. */
export async function registeredNeeds(store: Store, on: Queryable): Promise<TableNeeds[]> {
  const rows = await on.query<{ dependencies: Dependency[] }>(
    `SELECT dependencies FROM ${store.table.index_versions} WHERE state <> 'dropped'`,
  )
  return joinNeeds(rows.flatMap((each) => each.dependencies))
}
