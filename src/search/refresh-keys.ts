/**
 * Keys of the rows that a refresh is about, in pages.
 * @module
 */
import type { Db, Dependency, Source } from '../ports.ts'
import type { KeysAt, Rows } from './refresh-state.ts'

/** Some keys, and where to go on after them. */
export interface KeyPage {
  keys: string[]
  at: KeysAt
}

/** Pages of keys behind a point, of at most `size`. Nothing is held longer than a page. */
export async function* keysOf(
  db: Db,
  source: Source,
  rows: Rows,
  from: KeysAt | null,
  size: number,
): AsyncGenerator<KeyPage> {
  const start = from ?? { table: 0, after: null }
  if (rows.kind === 'all') yield* allKeys(db, await source.dependencies(db), start, size)
  else if (rows.kind === 'keys') yield* givenKeys(rows.keys, start, size)
  else if (rows.kind === 'chosen') {
    const { since, where } = rows
    const choice = { ...(since !== undefined && { since }), ...(where !== undefined && { where }) }
    for (let { after } = start;;) {
      const keys = await source.keys!(db, choice, after, size)
      if (keys.length === 0) return
      after = keys.at(-1)!
      yield { keys, at: { table: 0, after } }
    }
  }
}

// As after a TRUNCATE: the source itself tells the keys of all of its rows, table by table.
async function* allKeys(
  db: Db,
  dependencies: readonly Dependency[],
  { table, after }: KeysAt,
  size: number,
): AsyncGenerator<KeyPage> {
  const own = dependencies.filter((each) => each.own)
  for (let at = table, cursor = after; at < own.length; at++, cursor = null) {
    for (;;) {
      const keys = await tableKeys(db, own[at]!, cursor, size)
      if (keys.length === 0) break
      cursor = keys.at(-1)!
      yield { keys, at: { table: at, after: cursor } }
    }
  }
}

async function tableKeys(db: Db, dependency: Dependency, cursor: string | null, size: number): Promise<string[]> {
  const { allKeys, prefix = '' } = dependency
  const after = cursor === null ? null : cursor.slice(prefix.length)
  const sql = `SELECT k.key FROM (SELECT $1::jsonb AS changed) c, LATERAL (${allKeys}) k`
  const rows = await db.query<{ key: string }>(sql, ['[]', after, size])
  return rows.map((each) => prefix + each.key)
}

async function* givenKeys(keys: readonly string[], { after }: KeysAt, size: number): AsyncGenerator<KeyPage> {
  for (let at = after === null ? 0 : Number(after); at < keys.length; at += size) {
    yield { keys: keys.slice(at, at + size), at: { table: 0, after: String(at + size) } }
  }
}

/** Number of the chosen rows. */
export async function countKeys(db: Db, source: Source, rows: Rows): Promise<number> {
  let count = 0
  for await (const { keys } of keysOf(db, source, rows, null, 10_000)) count += keys.length
  return count
}
