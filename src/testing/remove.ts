/**
 * Takes away what a suite made, in the cluster and in the database.
 * @module
 */
import { removeTriggers } from '../capture/install.ts'
import type { Clock, Db, SearchClient } from '../ports.ts'
import { assertAnswer } from '../search/bulk.ts'
import { namesAtOnce } from '../search/marker-search.ts'
import { quoteName } from '../sql.ts'
import { openStore } from '../store/store.ts'
import { prefixStart, type SuiteNames, suiteOfName } from './names.ts'

/** A suite, as the cluster knows it. */
export interface InCluster {
  suite: SuiteNames
  indexes: string[]
  templates: string[]
}

/** What suites have in the cluster, by their exact names; of all of them, or of those with this prefix. */
export async function inCluster(search: SearchClient, prefix: string = prefixStart): Promise<InCluster[]> {
  const [indexes, templates] = await Promise.all([listIndexes(search, prefix), listTemplates(search, prefix)])
  const found = new Map<string, InCluster>()
  const of = (name: string): InCluster | undefined => {
    const suite = suiteOfName(name)
    if (!suite) return undefined
    const known = found.get(suite.id) ?? { suite, indexes: [], templates: [] }
    found.set(suite.id, known)
    return known
  }
  for (const each of indexes) of(each)?.indexes.push(each)
  for (const each of templates) of(each.slice(templateStart.length))?.templates.push(each)
  return [...found.values()]
}

const templateStart = 'elastic-umzug-'

async function listIndexes(search: SearchClient, prefix: string): Promise<string[]> {
  const { status, body } = await search.request({
    method: 'GET',
    path: `/${encodeURIComponent(`${prefix}*`)}/_alias`,
    query: { expand_wildcards: 'all' },
  })
  assertAnswer(status, body, 'to list the indexes of tests')
  return Object.keys(body)
}

async function listTemplates(search: SearchClient, prefix: string): Promise<string[]> {
  const { status, body } = await search.request<{ index_templates?: { name: string }[] }>({
    method: 'GET',
    path: `/_index_template/${encodeURIComponent(`${templateStart}${prefix}*`)}`,
    query: { filter_path: 'index_templates.name' },
  })
  if (status === 404) return []
  assertAnswer(status, body, 'to list the index templates of tests')
  return (body.index_templates ?? []).map((each) => each.name)
}

/** Deletes them, with their aliases. What is gone already is passed over. */
export async function removeFromCluster(search: SearchClient, suites: readonly InCluster[]): Promise<void> {
  const remove = async (path: string, names: readonly string[]) => {
    for (let at = 0; at < names.length; at += namesAtOnce) {
      const few = names.slice(at, at + namesAtOnce)
      const query: Record<string, boolean> = path === '/' ? { ignore_unavailable: true } : {}
      const all = `${path}${few.map(encodeURIComponent).join(',')}`
      const { status, body } = await search.request({ method: 'DELETE', path: all, query })
      if (status !== 404) assertAnswer(status, body, `to delete ${few.join(', ')}`)
      // Somebody else deletes the same ones: of several names none is deleted where one is gone.
      else if (few.length > 1) { for (const each of few) await remove(path, [each]) }
    }
  }
  await remove('/', suites.flatMap((each) => each.indexes))
  // The last: they keep late requests from making an index.
  await remove('/_index_template/', suites.flatMap((each) => each.templates))
}

/**
 * Drops the own tables of a suite, with the triggers that write into them; nobody may look at them any more. Tables of the
 * application are waited for one by one. Killed in between, the schema is still there, and so is found again.
 */
export async function removeSchema(db: Db, clock: Clock, { schema }: SuiteNames): Promise<void> {
  const store = openStore(db, schema)
  const [found] = await db.query<{ tables: boolean }>(`SELECT to_regclass($1) IS NOT NULL AS tables`, [
    store.table.captured_tables,
  ])
  if (found?.tables) {
    const rows = await db.query<{ name: string }>(`SELECT table_name AS name FROM ${store.table.captured_tables}`)
    // By themselves: dropped with the schema, they would lock tables in an order in which writers wait for each other.
    await removeTriggers({ store, clock, onLine: () => {} }, rows.map((each) => each.name), () => Promise.resolve())
  }
  await db.query(`DROP SCHEMA IF EXISTS ${quoteName(schema)} CASCADE`)
}
