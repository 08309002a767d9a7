/**
 * Which tables are watched, and what of them.
 * @module
 */
import type { Sequelize } from 'sequelize'
import type { Table } from '../../../src/ports.ts'
import type { Definition } from '../../../src/search/definition.ts'
import type { SequelizeSource } from '../plan.ts'
import { tableId } from '../tables.ts'

/** A table that documents read. */
export interface Watched {
  table: Table
  /** Columns whose values are recorded. */
  capture: readonly string[]
  /** Columns that documents read, filter on or join by. */
  columns: ReadonlySet<string>
}

/** Watched tables by `schema.name`. */
export type Watch = ReadonlyMap<string, Watched>

/** Gathers what the definitions read through one instance; other sources and other instances are left out. */
export function watchOf(sequelize: Sequelize, definitions: readonly Definition[]): Watch {
  const watch = new Map<string, Watched>()
  for (const { source } of definitions) {
    const { sequelize: own, reads } = source as Partial<SequelizeSource>
    if (own !== sequelize || reads === undefined) continue
    for (const { table, capture, columns } of reads) {
      const known = watch.get(tableId(table))
      watch.set(tableId(table), {
        table,
        capture: [...new Set([...(known?.capture ?? []), ...capture])],
        columns: new Set([...(known?.columns ?? []), ...columns, ...capture]),
      })
    }
  }
  return watch
}

/** A table as Sequelize's query interface takes it. */
export type TableName = string | { tableName: string; schema?: string }

/** The table meant. */
export function tableNamed(name: TableName): Table {
  if (typeof name === 'string') return { schema: 'public', name }
  return { schema: name.schema || 'public', name: name.tableName }
}
