/**
 * What stands on a table when its changes are recorded: the function and its triggers.
 * @module
 */
import { quoteName, quoteTable, quoteText } from '../sql.ts'
import type { Table } from '../ports.ts'
import type { Store } from '../store/store.ts'
import type { Recorded } from './images.ts'
import type { TableNeeds } from './needs.ts'
import { functionName } from './relied.ts'
import { rowBody } from './row.ts'
import { statementBody } from './statement.ts'
import type { ColumnFacts, TableFacts } from './tables.ts'

/** A trigger. */
export interface PlannedTrigger {
  on: Table
  /** `insert`, `update`, `delete`, `truncate` or `row`: the end of its name. */
  event: Event
}

/** All of one table. */
export interface Plan {
  facts: TableFacts
  /** Whether triggers run once a statement or once a row. */
  by: 'statement' | 'row'
  /** True when they run for replicated rows too. */
  replicated: boolean
  body: string
  /** `SET` clauses of the function. */
  settings: string[]
  triggers: PlannedTrigger[]
  /** Number of each column that is needed. */
  places: Record<string, number>
}

type Event = 'insert' | 'update' | 'delete' | 'truncate' | 'row'

const [oldRows, newRows] = ['OLD TABLE AS old_rows', 'NEW TABLE AS new_rows']

// `type` is what the catalog holds for it, a bit each: row 1, insert 4, delete 8, update 16, truncate 32.
const events: Record<Event, { type: number; sql: string }> = {
  insert: { type: 4, sql: `INSERT ON %T REFERENCING ${newRows} FOR EACH STATEMENT` },
  update: { type: 16, sql: `UPDATE ON %T REFERENCING ${oldRows} ${newRows} FOR EACH STATEMENT` },
  delete: { type: 8, sql: `DELETE ON %T REFERENCING ${oldRows} FOR EACH STATEMENT` },
  truncate: { type: 32, sql: 'TRUNCATE ON %T FOR EACH STATEMENT' },
  row: { type: 29, sql: 'INSERT OR UPDATE OR DELETE ON %T FOR EACH ROW' },
}

/** Plans a table. Columns that it does not have are left out, as is the rest of what a migration took away. */
export function planTable(store: Store, facts: TableFacts, needs: TableNeeds, replicated: boolean): Plan {
  // A statement's triggers run on the table that it names; its rows may lie in others of the tree, or come by replication.
  const by = facts.inTree || replicated ? 'row' : 'statement'
  const recorded = recordedOf(store, facts, needs)
  return {
    facts,
    by,
    replicated,
    body: by === 'row' ? rowBody(recorded) : statementBody(recorded),
    settings: [...by === 'row' ? rowSettings : statementSettings, ...recorded.capture.every(isPlain) ? [] : printing],
    triggers: by === 'row' ? rowTriggers(facts) : statementTriggers(facts),
    places: Object.fromEntries(recorded.columns.map(({ name, number }) => [name, number])),
  }
}

function recordedOf({ table: { changes } }: Store, facts: TableFacts, { columns, capture }: TableNeeds): Recorded {
  const stored = facts.columns.filter((each) => !each.virtual)
  const needed = facts.columns.filter(({ name }) => columns.includes(name) || capture.includes(name))
  const virtual = needed.filter((each) => each.virtual).map((each) => each.name)
  return {
    changes,
    facts,
    columns: virtual.length > 0 ? stored : needed,
    capture: stored.filter(({ name }) => capture.includes(name)),
    virtual,
  }
}

const isPlain = ({ plain }: ColumnFacts) => plain

const rowSettings = ['search_path = pg_catalog, pg_temp']

// Its plans are made for the rows of one statement and kept for all: a nested loop over what were two rows would run for
// hours over a million, and a plan made for a million would be compiled for two.
const statementSettings = [...rowSettings, 'jit = off', 'enable_nestloop = off', 'enable_mergejoin = off']

// Whoever reads the texts again must find the same values, whatever the writer's session prints like.
const printing = [
  `"DateStyle" = 'ISO, MDY'`,
  `"IntervalStyle" = 'postgres'`,
  `"TimeZone" = 'UTC'`,
  'extra_float_digits = 1',
  `bytea_output = 'hex'`,
]

function statementTriggers(facts: TableFacts): PlannedTrigger[] {
  return (['insert', 'update', 'delete', 'truncate'] as const).map((event) => ({ on: facts, event }))
}

// PostgreSQL itself puts row-level triggers on partitions, also on those to come; on children and for TRUNCATE it does not.
function rowTriggers(facts: TableFacts): PlannedTrigger[] {
  const children = facts.below.filter((each) => !each.partition)
  return [
    ...[facts, ...children].map((on) => ({ on, event: 'row' as const })),
    ...[facts, ...facts.below].map((on) => ({ on, event: 'truncate' as const })),
  ]
}

/** How many of the planned triggers stand on the table itself. */
export function countOnTable({ triggers, facts }: Plan): number {
  return triggers.filter(({ on }) => on.schema === facts.schema && on.name === facts.name).length
}

/** What the catalog holds of a planned trigger's kind. */
export function typeOf({ event }: PlannedTrigger): number {
  return events[event].type
}

/** What the catalog holds when a trigger runs as planned: `O` for the table's own writers, `A` for replicated rows too. */
export function enabledOf({ replicated }: Plan): 'O' | 'A' {
  return replicated ? 'A' : 'O'
}

/** Name of a trigger: those of two own schemas in one database never meet. */
export function triggerName({ schema }: Store, number: number, event: Event): string {
  // A name has room for 63 bytes.
  const size = new TextEncoder().encode(schema).length
  const own = size <= 40 ? schema : `elastic_umzug_${hash(schema)}`
  return `${own}_${number}_${event}`
}

function hash(text: string): string {
  let value = 0x811c9dc5
  for (const char of text) value = Math.imul(value ^ char.codePointAt(0)!, 0x01000193)
  return (value >>> 0).toString(16)
}

/** CREATE of the function. */
export function createFunction(store: Store, number: number, { body, by, settings }: Plan): string[] {
  const name = store.name(functionName(number))
  const set = settings.map((each) => ` SET ${each}`).join('')
  return [
    `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER${set} AS ${
      quoteText(body)
    }`,
    // Whoever makes a partition needs the right to call it, and nothing else of ours. Without the right to use the own
    // schema nobody can put it on a table.
    by === 'row' ? `GRANT EXECUTE ON FUNCTION ${name}() TO PUBLIC` : `REVOKE ALL ON FUNCTION ${name}() FROM PUBLIC`,
  ]
}

/** CREATE of a trigger. */
export function createTrigger(store: Store, number: number, trigger: PlannedTrigger): string {
  const name = quoteName(triggerName(store, number, trigger.event))
  const when = events[trigger.event].sql.replace('%T', () => quoteTable(trigger.on))
  return `CREATE TRIGGER ${name} AFTER ${when} EXECUTE FUNCTION ${store.name(functionName(number))}()`
}
