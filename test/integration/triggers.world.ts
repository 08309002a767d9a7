/**
 * A database with the own tables in which triggers are installed, and what they recorded.
 * @module
 */
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { monotonicClock } from '../../adapters/clock.ts'
import { installTriggers } from '../../src/capture/install.ts'
import type { TriggerDeps } from '../../src/capture/lock.ts'
import type { TableNeeds } from '../../src/capture/needs.ts'
import type { Db } from '../../src/ports.ts'
import { applySchema } from '../../src/store/schema.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { createWorld, type World } from '../support/world.ts'

/** A change as it was recorded. */
export interface Change {
  table: string
  rows: Record<string, string | null>[] | null
  columns: string[] | null
}

/** A database with the own tables. */
export interface Triggered {
  world: World
  db: Db
  store: Store
  /** Lines that were told. */
  lines: string[]
  deps: TriggerDeps
  /** Runs statements, one after another, each by itself. */
  sql<Row extends object = Record<string, unknown>>(...statements: string[]): Promise<Row[]>
  /** Installs triggers that record at least these needs. */
  install(needs: Partial<TableNeeds> & { table: string }, options?: { replicated: boolean }): Promise<string[]>
  /** What was recorded since the last call, with images and names sorted. */
  recorded(): Promise<Change[]>
}

/** Makes the database. */
export async function createTriggered(schema: string = 'elastic_umzug'): Promise<Triggered> {
  const world = await createWorld()
  const db = fromSequelize(world.sequelize)
  const store = openStore(db, schema)
  await applySchema(store)
  const lines: string[] = []
  const deps: TriggerDeps = { store, clock: monotonicClock, onLine: (line) => void lines.push(line) }
  return {
    world,
    db,
    store,
    lines,
    deps,
    async sql(...statements) {
      let rows: object[] = []
      for (const each of statements) rows = await db.query(each)
      return rows as never
    },
    install: (needs, options = { replicated: false }) =>
      installTriggers(deps, [{ columns: [], capture: [], own: false, ...needs }], options),
    async recorded() {
      const rows = await db.query<Change & { id: string }>(
        `WITH gone AS (DELETE FROM ${store.table.changes} RETURNING *)
         SELECT id, table_name AS "table", rows, to_json(columns) AS columns FROM gone ORDER BY id`,
      )
      return rows.map(({ table, rows, columns }) => ({
        table,
        rows: rows && [...rows].sort((one, other) => JSON.stringify(one) < JSON.stringify(other) ? -1 : 1),
        columns: columns && [...columns].sort(),
      }))
    },
  }
}
