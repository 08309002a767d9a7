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

/** A table as a registered version reads it: what a version depends on is data, so that older code can record it. */
export interface Registered {
  /** `schema.name` */
  table: string
  columns: string[]
  capture: string[]
}

/** What is watched for this code's definitions and for every registered version. */
export function joinWatch(own: Watch, registered: readonly Registered[]): Watch {
  const watch = new Map(own)
  for (const { table, columns, capture } of registered) add(watch, tableOfId(table), capture, columns)
  return watch
}

/** The others. */
export function withoutTables(watch: Watch, left: ReadonlySet<string>): Watch {
  return left.size === 0 ? watch : new Map([...watch].filter(([id]) => !left.has(id)))
}

/** Tables of which more is watched than was before. */
export function grown(before: Watch, now: Watch): Watched[] {
  return [...now].filter(([id, { capture, columns }]) => {
    const known = before.get(id)
    return !known || capture.some((each) => !known.capture.includes(each)) ||
      [...columns].some((each) => !known.columns.has(each))
  }).map(([, each]) => each)
}

function tableOfId(id: string): Table {
  const at = id.indexOf('.')
  return { schema: id.slice(0, at), name: id.slice(at + 1) }
}

function add(
  watch: Map<string, Watched>,
  table: Table,
  capture: readonly string[],
  columns: Iterable<string>,
): void {
  const known = watch.get(tableId(table))
  watch.set(tableId(table), {
    // A registered id does not tell which of its dots ends the schema.
    table: known?.table ?? table,
    capture: [...new Set([...(known?.capture ?? []), ...capture])],
    columns: new Set([...(known?.columns ?? []), ...columns, ...capture]),
  })
}

/** Gathers what the definitions read through one instance; other sources and other instances are left out. */
export function watchOf(sequelize: Sequelize, definitions: readonly Definition[]): Watch {
  const watch = new Map<string, Watched>()
  for (const source of definitions.flatMap(({ source }) => source.parts ?? [source])) {
    const { sequelize: own, reads } = source as Partial<SequelizeSource>
    if (own !== sequelize || reads === undefined) continue
    for (const { table, capture, columns } of reads) add(watch, table, capture, columns)
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
