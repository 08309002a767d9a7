/**
 * What building an index would cost, from what is known of earlier versions.
 * @module
 */
import type { SearchClient, Source } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { isComplete, type Version } from './versions.ts'

/** What a version costs; null is not known. */
export interface Cost {
  /** Rows, about: as many as there were at the last populate, else what PostgreSQL believes of the table. */
  rows: number | null
  /** Minutes, by the pace of the last populate of this index. */
  minutes: number | null
  /** Bytes of the primary shards of the active version. */
  bytes: number | null
}

/** Estimates a new version of an index; nothing is counted. */
export async function costOf(
  { store, search }: { store: Store; search: SearchClient | undefined },
  versions: readonly Version[],
  source: Source | undefined,
): Promise<Cost> {
  const known = versions.filter(isComplete).at(-1)?.rowsExpected ?? null
  const rows = known ?? (source ? await believedRows(store, source) : null)
  const pace = await lastPace(store, versions.map((each) => each.physical))
  const active = versions.find((each) => each.state === 'active')
  return {
    rows,
    minutes: rows === null || pace === null ? null : Math.max(0.1, Math.round(rows / pace / 6) / 10),
    bytes: active && search ? await sizeOf(search, active) : null,
  }
}

async function believedRows({ db }: Store, source: Source): Promise<number | null> {
  const tables = (source.parts ?? [source]).map(({ table }) => `${table.schema}.${table.name}`)
  const [row] = await db.query<{ rows: number | null; unknown: boolean }>(
    `SELECT sum(c.reltuples)::float8 AS rows, bool_or(c.reltuples < 0) AS unknown
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname || '.' || c.relname = ANY ($1)`,
    [tables],
  )
  return row!.unknown ? null : row!.rows
}

// Documents a second.
async function lastPace({ db, table }: Store, physicals: readonly string[]): Promise<number | null> {
  const [row] = await db.query<{ pace: number }>(
    `SELECT (counts ->> 'documents')::float8 / greatest(0.001, extract(epoch FROM ended_at - started_at)::float8) AS pace
     FROM ${table.actions} WHERE target = ANY ($1) AND action = 'es:update' AND state = 'complete'
       AND (counts ->> 'documents')::float8 > 0 ORDER BY id DESC LIMIT 1`,
    [physicals],
  )
  return row?.pace ?? null
}

async function sizeOf(search: SearchClient, { physical }: Version): Promise<number | null> {
  const { status, body } = await search.request<{ _all?: { primaries?: { store?: { size_in_bytes?: number } } } }>({
    method: 'GET',
    path: `/${encodeURIComponent(physical)}/_stats/store`,
    query: { filter_path: '_all.primaries.store.size_in_bytes' },
  })
  return status === 200 ? body._all?.primaries?.store?.size_in_bytes ?? null : null
}
