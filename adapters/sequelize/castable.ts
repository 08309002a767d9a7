/**
 * Keys that are no keys of their table: found when a statement fails over them.
 * @module
 */
import type { Queryable } from '../../src/ports.ts'
import { castKeys, type KeyedTable } from './statements.ts'

/** The SQLSTATE of an error of the driver or of Sequelize; empty when it has none. */
export function sqlState(error: unknown): string {
  const { code, parent } = error as { code?: unknown; parent?: { code?: unknown } }
  const state = parent?.code ?? code
  return typeof state === 'string' && /^[0-9A-Z]{5}$/.test(state) ? state : ''
}

/** Reads by keys; those that the key's type cannot hold are no keys of a row, and do not fail the others. */
export async function readCastable<T>(
  db: Queryable,
  rows: Pick<KeyedTable, 'key' | 'unique'>,
  keys: readonly string[],
  read: (keys: readonly string[]) => Promise<T>,
): Promise<T> {
  try {
    return await read(keys)
  } catch (error) {
    if (!sqlState(error).startsWith('22')) throw error
    const castable = await castableKeys(db, rows, keys)
    // Then it was not the keys.
    if (castable.length === keys.length) throw error
    return await read(castable)
  }
}

/** The keys that can be cast to the key's type; halves those that cannot until the bad ones stand alone. */
async function castableKeys(
  db: Queryable,
  rows: Pick<KeyedTable, 'key' | 'unique'>,
  keys: readonly string[],
): Promise<string[]> {
  if (keys.length === 0) return []
  const { sql, values } = castKeys(rows, keys)
  try {
    await db.query(sql, values)
    return [...keys]
  } catch (error) {
    if (!sqlState(error).startsWith('22')) throw error
  }
  if (keys.length === 1) return []
  const middle = Math.ceil(keys.length / 2)
  return [
    ...await castableKeys(db, rows, keys.slice(0, middle)),
    ...await castableKeys(db, rows, keys.slice(middle)),
  ]
}
