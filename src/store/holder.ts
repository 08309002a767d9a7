/**
 * Who holds the run lock, and how far that run is: what whoever waits for it is told.
 * @module
 */
import type { Clock } from '../ports.ts'
import { openActions } from './runs.ts'
import type { Store } from './store.ts'

/** How often somebody who waits is told how far the other run is. */
const tellEveryMs = 5_000

/** Says who holds the run lock: `up of ann@web-1, process 12, since 2026-11-25T10:00:00: books-2: populating 3000 rows`. */
export async function describeHolder(store: Store): Promise<string> {
  const holder = (await openActions(store)).find((each) => each.holdsRunLock)
  // Between taking the lock and telling so, or letting go of it, a run is not seen.
  if (!holder) return 'another run of elastic-umzug'
  const { id, action, user, host, pid, since } = holder
  const [row] = await store.db.query<{ log: string; documents: number; expected: number | null }>(
    `SELECT right(a.log, 1000) AS log,
       coalesce(p.documents, 0)::float8 AS documents, p.expected::float8 AS expected
     FROM ${store.table.actions} a LEFT JOIN (
       SELECT sum(r.documents) AS documents, sum(v.rows_expected) AS expected
       FROM ${store.table.index_versions} v JOIN (
         SELECT version_id, sum(documents) AS documents FROM ${store.table.populate_ranges} GROUP BY version_id
       ) r ON r.version_id = v.id
       WHERE v.state = 'populating') p ON true
     WHERE a.id = $1`,
    [id],
  )
  const far = row?.expected ? `, ${row.documents} of ${row.expected} rows are written` : ''
  const line = row?.log.trimEnd().split('\n').at(-1)?.replace(/^\S+Z /, '')
  return `${action} of ${user}@${host}, process ${pid}, since ${since.slice(0, 19)}${line ? `: ${line}` : ''}${far}`
}

/** Tells whoever waits who holds the run lock, at first and whenever that changed, at most every few seconds. */
export function tellHolder(store: Store, clock: Clock, onLine: (line: string) => void): () => Promise<void> {
  let told = { at: -Infinity, text: '' }
  return async () => {
    if (clock.now() - told.at < tellEveryMs) return
    const text = await describeHolder(store)
    if (text !== told.text) onLine(`waiting for the run lock: ${text}`)
    told = { at: clock.now(), text }
  }
}
