/**
 * Committed changes: dispatching them, and the order in which they were captured.
 * @module
 */
import type { Db, Queryable } from '../ports.ts'
import { changedTables } from '../store/dispatch.ts'
import type { Store } from '../store/store.ts'

/** Most changes and rows of one dispatch, and keys of one page of a change that many documents show. */
const size = { changes: 500, rows: 5_000, page: 5_000 }

/** So many fewer changes are taken at once, when they were too many together. */
const shrink = 8

/**
 * Moves committed changes into pending; gives how many, -1 when another process is at it. Those that are too much for
 * one statement are taken in smaller parts, so that one does not hold up the others.
 */
export async function dispatch(store: Store): Promise<number> {
  for (let changes = size.changes;; changes = Math.ceil(changes / shrink)) {
    try {
      return await dispatchAtMost(store, changes)
    } catch (error) {
      if (changes === 1 || !isTooMuch(error)) throw error
    }
  }
}

// Alone, so that the usual dispatch is one round trip; in a transaction with settings of its own where it must.
async function dispatchAtMost(store: Store, changes: number): Promise<number> {
  const isLimited = limited.get(store.db) ?? await isTimeLimited(store.db)
  limited.set(store.db, isLimited)
  return isLimited ? await dispatchUnhurried(store, changes) : await callDispatch(store, store.db, changes)
}

/** Databases by whether the application's connections end a statement that takes long. */
const limited = new WeakMap<Db, boolean>()

async function isTimeLimited(db: Db): Promise<boolean> {
  const [row] = await db.query<{ limited: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_settings
       WHERE name IN ('statement_timeout', 'transaction_timeout') AND setting <> '0') AS limited`,
  )
  return row!.limited
}

// By the settings of the application a statement may end early that is long only because a migration holds a lock or a
// change concerns much. The settings count for the statements after them.
async function dispatchUnhurried(store: Store, changes: number): Promise<number> {
  return await store.db.transaction(async (tx) => {
    // The other one is not known before PostgreSQL 17, where naming it would fail.
    await tx.query(
      `SELECT set_config('statement_timeout', '0', true), CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL
         THEN set_config('transaction_timeout', '0', true) END`,
    )
    return await callDispatch(store, tx, changes)
  })
}

async function callDispatch(store: Store, on: Queryable, changes: number): Promise<number> {
  const sql = `SELECT ${store.name('dispatch')}($1, $2, $3) AS taken`
  return (await on.query<{ taken: number }>(sql, [changes, size.rows, size.page]))[0]!.taken
}

// SQLSTATE 57014 is "query canceled", class 54 "program limit exceeded".
function isTooMuch(error: unknown): boolean {
  return /^(57014|54...)$/.test(String((error as { code?: unknown } | null)?.code))
}

/**
 * A mark behind every change committed until now: its number was drawn before it was committed, so it is not above
 * the highest number drawn.
 */
export async function markNow(store: Store): Promise<string> {
  const sql = `SELECT last_value FROM ${store.name('changes_id_seq')}`
  return (await store.db.query<{ last_value: string }>(sql))[0]!.last_value
}

/** What is not processed yet of all that was captured up to a mark, each counted up to 10,000. */
export interface Unprocessed {
  changes: number
  pending: number
  aborted: number
}

// Whoever waits asks again and again: of millions, some are enough to know that they are not done.
const mostCounted = 10_000

/**
 * Counts, in one statement, the changes and the pending rows of some versions up to a mark. Two statements could
 * miss a change that is dispatched between them (rule 9 of the protocol).
 */
export async function unprocessed(
  store: Store,
  versionIds: readonly string[],
  mark: string,
): Promise<Unprocessed> {
  const { db, table } = store
  const isMine = '(c.version_id IS NULL OR c.version_id = ANY ($1::bigint[]))'
  const most = `LIMIT (SELECT ${mostCounted})`
  const counted = (rows: string) => `(SELECT count(*)::int FROM (${rows} LIMIT ${mostCounted}) x)`
  // Each part goes along an index in the order of what it asks for, so that nothing newer is read, however much there is.
  // Aborted rows, and only they, are never due.
  const [row] = await db.query<Unprocessed>(
    `WITH RECURSIVE ${changedTables(store)}
     SELECT ${
      counted(`SELECT FROM tables t CROSS JOIN LATERAL (
         SELECT FROM ${table.changes} c WHERE c.table_name = t.name AND c.id <= $2 AND c.origin IS NULL AND ${isMine}
         ORDER BY c.table_name, c.id ${most}) c
       UNION ALL
       (SELECT FROM ${table.changes} c WHERE c.origin <= $2 AND ${isMine}
        ORDER BY c.id ${most})`)
    } AS changes, ${
      counted(`SELECT FROM unnest($1::bigint[]) AS v(id) CROSS JOIN LATERAL (
         SELECT FROM ${table.pending} p WHERE p.version_id = v.id AND p.oldest_change <= $2 AND p.due_at < 'infinity'
         ORDER BY p.oldest_change ${most}) p`)
    } AS pending, ${
      counted(`SELECT FROM ${table.pending} p WHERE p.version_id = ANY ($1::bigint[]) AND p.due_at = 'infinity'`)
    } AS aborted`,
    [versionIds, mark],
  )
  return row!
}
