/**
 * Which tables cannot have triggers.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Queryable } from '../ports.ts'
import type { Store } from '../store/store.ts'
import type { TableNeeds } from './needs.ts'
import { readTables, type TableFacts } from './tables.ts'

/** What triggers cannot be put on, and why not. */
interface Fault {
  what: string
  next: string
}

const hooks = (table: string) => `capture: { '${table}': 'hooks' } in the config`

/** Throws `CAPTURE_IMPOSSIBLE` for the first of these tables that cannot have triggers; one that is gone is no fault. */
export async function assertCapturable(store: Store, on: Queryable, wanted: readonly TableNeeds[]): Promise<void> {
  if (wanted.length === 0) return
  const [server] = await on.query<{ version: number }>(`SELECT current_setting('server_version_num')::int AS version`)
  if (server!.version < 140_000) {
    throw new ElasticUmzugError('CAPTURE_IMPOSSIBLE', `Triggers need PostgreSQL 14; ${store.db.label} is older.`, {
      next: `capture: 'hooks' in the config`,
    })
  }
  const tables = await readTables(on, wanted.map((each) => each.table))
  for (const needs of wanted) {
    const facts = tables.find((each) => each.table === needs.table)
    const fault = facts && faultOf(facts, needs)
    if (!fault) continue
    throw new ElasticUmzugError('CAPTURE_IMPOSSIBLE', `${needs.table} cannot be captured by triggers: ${fault.what}.`, {
      next: fault.next,
    })
  }
}

const kinds: Partial<Record<TableFacts['kind'], string>> = {
  v: 'it is a view',
  m: 'it is a materialized view',
  f: 'it is a foreign table',
}

function faultOf(facts: TableFacts, { own, capture }: TableNeeds): Fault | undefined {
  const { table, kind, hasKey, columns } = facts
  const what = kinds[kind]
  if (what) return { what, next: hooks(table) }
  if (own && !hasKey) {
    return {
      what: 'it has no primary key, by which its documents are told apart',
      next: `ALTER TABLE ${table} ADD PRIMARY KEY (…), or ${hooks(table)}`,
    }
  }
  const virtual = columns.find((each) => each.virtual && capture.includes(each.name))
  if (!virtual) return undefined
  return {
    what: `${virtual.name} is computed when it is read, no trigger sees its value`,
    next: `make the column STORED, or ${hooks(table)}`,
  }
}
