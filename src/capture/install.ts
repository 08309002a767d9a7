/**
 * Puts triggers on tables, brings them up to date, and takes them away.
 * @module
 */
import type { Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { assertCapturable } from './capturable.ts'
import { apply, difference, drops, forget, gapOf, type Installed, isReplaced, readInstalled } from './installed.ts'
import { type LockMode, type TriggerDeps, withTable } from './lock.ts'
import { joinNeeds, registeredNeeds, type TableNeeds } from './needs.ts'
import { type Plan, planTable } from './plan.ts'
import { readTables } from './tables.ts'

/** Options of installing. */
export interface InstallOptions {
  /** True when rows that replication brings are recorded too: by row-level triggers, which cost more. */
  replicated: boolean
}

/**
 * Makes the triggers of these tables record at least what is wanted, and what registered versions need; gives the tables
 * of which something was changed. When it returns, every transaction that wrote without them has ended. Tables that do
 * not exist are passed over. Each table is done in a transaction of its own: after a crash the next run does the rest.
 * Throws `CAPTURE_IMPOSSIBLE` before anything is changed, and `STOPPED` at the signal between two tables.
 */
export async function installTriggers(
  deps: TriggerDeps,
  wanted: readonly TableNeeds[],
  { replicated }: InstallOptions,
): Promise<string[]> {
  await assertCapturable(deps.store, deps.store.db, wanted)
  const changed: string[] = []
  for (const needs of wanted) if (await install(deps, needs, replicated)) changed.push(needs.table)
  return changed
}

async function install(deps: TriggerDeps, needs: TableNeeds, replicated: boolean): Promise<boolean> {
  const { store } = deps
  const mode = await modeFor(store, needs, replicated)
  if (mode === undefined) return false
  const [facts] = await readTables(store.db, [needs.table])
  const isDone = facts && await withTable(deps, facts, mode, async (tx) => {
    const now = await look(store, tx, needs, replicated)
    // Gone, or changed so much meanwhile that it takes the other lock: looked at once more.
    if (!now || (mode !== 'ACCESS EXCLUSIVE' && drops(store, now.installed, now.plan))) return 'again'
    return await put(store, tx, now)
  })
  return isDone === 'again' || isDone === undefined ? await install(deps, needs, replicated) : isDone
}

/** A table, and what is wanted of it. */
interface Look {
  needs: TableNeeds
  plan: Plan
  installed: Installed | undefined
}

// The lock that is needed; undefined when there is nothing to do.
async function modeFor(store: Store, needs: TableNeeds, replicated: boolean): Promise<LockMode | undefined> {
  const now = await look(store, store.db, needs, replicated)
  if (!now || isCurrent(store, now)) return undefined
  return drops(store, now.installed, now.plan) ? 'ACCESS EXCLUSIVE' : 'SHARE ROW EXCLUSIVE'
}

async function look(
  store: Store,
  on: Queryable,
  wanted: TableNeeds,
  replicated: boolean,
): Promise<Look | undefined> {
  const [facts] = await readTables(on, [wanted.table])
  if (!facts) return undefined
  const registered = (await registeredNeeds(store, on)).filter((each) => each.table === wanted.table)
  const needs = joinNeeds([wanted, ...registered])[0]!
  const [installed] = await readInstalled(store, on, wanted.table)
  return { needs, plan: planTable(store, facts, needs, replicated), installed }
}

function isCurrent(store: Store, { installed, plan, needs }: Look): boolean {
  return installed?.state === 'installed' && gapOf(installed) === null && !isReplaced(installed, plan) &&
    installed.replicated === plan.replicated && sameNames(installed.columns, needs.columns) &&
    sameNames(installed.capture, needs.capture) && difference(store, installed, plan).length === 0
}

function sameNames(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

async function put(store: Store, tx: Queryable, now: Look): Promise<boolean> {
  if (isCurrent(store, now)) return false
  const { needs, plan } = now
  await tx.query(
    `INSERT INTO ${store.table.captured_tables} AS t (table_name, columns, capture, places, replicated, triggers)
     VALUES ($1, $2, $3, '{}', $4, 0)
     ON CONFLICT (table_name) DO UPDATE SET columns = $2, capture = $3, replicated = $4, state = 'installed'`,
    [needs.table, needs.columns, needs.capture, plan.replicated],
  )
  const [installed] = await readInstalled(store, tx, needs.table)
  await apply(store, tx, installed!, plan)
  return true
}

/**
 * Takes the triggers of these tables away, in two phases: first they are marked as `leaving`, so that nobody relies on
 * them any more; `settle` waits until every process that did records by itself and what was written meanwhile has ended;
 * then they are dropped, unless somebody has installed them again by then. A table that has none is passed over. Killed
 * in between, they stay and go on recording; the next call goes on. Throws `STOPPED` at the signal.
 */
export async function removeTriggers(
  deps: TriggerDeps,
  tables: readonly string[],
  settle: () => Promise<void>,
): Promise<void> {
  const { store } = deps
  const marked = await store.db.query<{ table: string }>(
    `UPDATE ${store.table.captured_tables} SET state = 'leaving' WHERE table_name = ANY ($1) RETURNING table_name AS "table"`,
    [tables],
  )
  if (marked.length === 0) return
  await settle()
  for (const { table } of marked) await remove(deps, table)
}

async function remove(deps: TriggerDeps, table: string): Promise<void> {
  const { store } = deps
  const drop = async (tx: Queryable): Promise<true> => {
    const [installed] = await readInstalled(store, tx, table)
    if (installed?.state === 'leaving') await forget(store, tx, installed)
    return true
  }
  // Where they stand now: the table may have been renamed. Without any there is nothing to wait for.
  const place = (await readInstalled(store, store.db, table))[0]?.found.find((each) => !each.clone)
  const isDone = place && await withTable(deps, place, 'ACCESS EXCLUSIVE', drop)
  if (!isDone) await store.db.transaction(drop)
}
