/**
 * What of the triggers stands in the database, and what differs from what should.
 * @module
 */
import { quoteName, quoteTable } from '../sql.ts'
import type { Queryable, Table } from '../ports.ts'
import type { Store } from '../store/store.ts'
import {
  countOnTable,
  createFunction,
  createTrigger,
  enabledOf,
  type Plan,
  type PlannedTrigger,
  triggerName,
  typeOf,
} from './plan.ts'
import { functionName } from './relied.ts'

/** A trigger as it stands. */
export interface FoundTrigger extends Table {
  trigger: string
  type: number
  /** `O`, `A`, or `D` and `R` when it does not run for the table's own writers. */
  enabled: 'O' | 'A' | 'D' | 'R'
  /** True when PostgreSQL put it on a partition by itself. */
  clone: boolean
}

/** A table on record. */
export interface Installed {
  /** `schema.name`. */
  table: string
  /** Names its function. */
  number: number
  columns: string[]
  capture: string[]
  places: Record<string, number>
  replicated: boolean
  /** How many triggers were put on the table itself. */
  triggers: number
  state: 'installed' | 'leaving'
  /** Body of its function; null when there is none. */
  body: string | null
  found: FoundTrigger[]
}

/** What is wrong: triggers are gone or do not run, or are not what this release would make of the table as it is. */
export type Fault = 'missing' | 'disabled' | 'outdated'

/** The tables on record; all, or one. */
export async function readInstalled(store: Store, on: Queryable, table?: string): Promise<Installed[]> {
  return await on.query<Installed>(
    `SELECT t.table_name AS "table", t.number, to_json(t.columns) AS columns, to_json(t.capture) AS capture, t.places,
       t.replicated, t.triggers, t.state, p.prosrc AS body,
       (SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname, 'trigger', g.tgname,
           'type', g.tgtype, 'enabled', g.tgenabled, 'clone', g.tgparentid <> 0) ORDER BY g.oid), '[]')
         FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE g.tgfoid = p.oid) AS found
     FROM ${store.table.captured_tables} t
     LEFT JOIN pg_proc p ON p.proname = ${functionName('t.number')} AND p.pronamespace = to_regnamespace($1)
     WHERE $2::text IS NULL OR t.table_name = $2 ORDER BY t.table_name`,
    [quoteName(store.schema), table ?? null],
  )
}

/** True when writes may have gone unrecorded: triggers that were put on the table are gone or do not run. */
export function gapOf({ found, triggers, table }: Installed): 'missing' | 'disabled' | null {
  const own = found.filter((each) => !each.clone && `${each.schema}.${each.name}` === table)
  if (own.length !== triggers) return 'missing'
  return found.every(isEnabled) ? null : 'disabled'
}

function isEnabled({ enabled }: FoundTrigger): boolean {
  return enabled === 'O' || enabled === 'A'
}

/** True when a column that is needed is another one under the same name: its values may have changed with no write. */
export function isReplaced({ places }: Installed, plan: Plan): boolean {
  return Object.entries(plan.places).some(([name, number]) => places[name] !== undefined && places[name] !== number)
}

/** Statements that make what stands into what is planned; none when it is so already. */
export function difference(store: Store, installed: Installed, plan: Plan): string[] {
  const { number, found, body } = installed
  const own = found.filter((each) => !each.clone)
  const extra = own.filter((each) => !plan.triggers.some((wanted) => isSame(store, number, wanted, each)))
  const lacking = plan.triggers.filter((wanted) => !own.some((each) => isSame(store, number, wanted, each)))
  const asleep = found.filter((each) => !extra.includes(each) && each.enabled !== enabledOf(plan))
  return [
    ...body === plan.body ? [] : createFunction(store, number, plan),
    ...extra.map((each) => `DROP TRIGGER ${quoteName(each.trigger)} ON ${quoteTable(each)}`),
    ...lacking.map((each) => createTrigger(store, number, each)),
    ...plan.replicated ? lacking.map(({ on, event }) => enable(on, triggerName(store, number, event), 'A')) : [],
    ...asleep.map((each) => enable(each, each.trigger, enabledOf(plan))),
  ]
}

/** True when triggers have to be dropped for it, which takes the stronger lock. */
export function drops(store: Store, installed: Installed | undefined, plan: Plan): boolean {
  return installed !== undefined && difference(store, installed, plan).some((each) => each.startsWith('DROP'))
}

// What was written into it before is unseen.
function hasNewChild(store: Store, { number, found, triggers }: Installed, plan: Plan): boolean {
  const ofChildren = plan.triggers.filter(({ event, on }) => event === 'row' && on !== plan.facts)
  return triggers > 0 && !ofChildren.every((wanted) => found.some((each) => isSame(store, number, wanted, each)))
}

function isSame(store: Store, number: number, wanted: PlannedTrigger, found: FoundTrigger): boolean {
  return found.schema === wanted.on.schema && found.name === wanted.on.name &&
    found.trigger === triggerName(store, number, wanted.event) && found.type === typeOf(wanted)
}

function enable(table: Table, trigger: string, enabled: 'O' | 'A'): string {
  return `ALTER TABLE ${quoteTable(table)} ENABLE ${enabled === 'A' ? 'ALWAYS ' : ''}TRIGGER ${quoteName(trigger)}`
}

/** What is wrong with a table on record; `plan` is undefined when it cannot have triggers, or is gone. */
export function faultOf(store: Store, installed: Installed, plan: Plan | undefined): Fault | null {
  if (!plan) return 'missing'
  return gapOf(installed) ?? (difference(store, installed, plan).length > 0 ? 'outdated' : null)
}

/**
 * Makes what stands into what is planned, and keeps it on record. Where writes may have gone unrecorded, the table is
 * recorded as a whole. True when anything was done.
 */
export async function apply(store: Store, tx: Queryable, installed: Installed, plan: Plan): Promise<boolean> {
  const statements = difference(store, installed, plan)
  for (const each of statements) await tx.query(each)
  const isUnseen = gapOf(installed) !== null || isReplaced(installed, plan) || hasNewChild(store, installed, plan)
  if (isUnseen) await tx.query(`INSERT INTO ${store.table.changes} (table_name) VALUES ($1)`, [plan.facts.table])
  await tx.query(
    `UPDATE ${store.table.captured_tables} SET places = $2::jsonb, triggers = $3 WHERE table_name = $1`,
    [plan.facts.table, JSON.stringify(plan.places), countOnTable(plan)],
  )
  return statements.length > 0 || isUnseen
}

/** Drops the function of a table with all its triggers, and its record. */
export async function forget(store: Store, tx: Queryable, { table, number }: Installed): Promise<void> {
  await tx.query(`DROP FUNCTION IF EXISTS ${store.name(functionName(number))}() CASCADE`)
  await tx.query(`DELETE FROM ${store.table.captured_tables} WHERE table_name = $1`, [table])
}

/**
 * Keeps a record for a table that is gone while versions read it: it counts as missing its triggers, so nobody relies on
 * them, and what takes its place is recorded as a whole.
 */
export async function keepPlace(store: Store, tx: Queryable, installed: Installed): Promise<void> {
  const { table, columns, capture, replicated } = installed
  await tx.query(
    `INSERT INTO ${store.table.captured_tables} (table_name, columns, capture, places, replicated, triggers)
     VALUES ($1, $2, $3, '{}', $4, 1)`,
    [table, columns, capture, replicated],
  )
}

/** True for such a record. */
export function isVacant({ body }: Installed): boolean {
  return body === null
}
