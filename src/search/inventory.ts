/**
 * What the cluster holds: documents and sizes of versions, and indexes that are not ours.
 * @module
 */
import type { SearchClient } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { assertAnswer } from './bulk.ts'

/** A physical index as the cluster has it. */
export interface Held {
  /** Documents that searches see; null when that is not known. */
  documents: number | null
  /** True when the cluster answers that it has no such index. */
  lost: boolean
  /** Bytes of its primary shards; null when that is not known. */
  sizeBytes: number | null
}

const unknown: Held = { documents: null, lost: false, sizeBytes: null }

/** What the cluster has of some physical indexes of a prefix, by two requests for all; where it does not answer, unknown. */
export async function readHeld(
  search: SearchClient | undefined,
  prefix: string,
  names: readonly string[],
): Promise<Held[]> {
  if (!search || names.length === 0) return names.map(() => unknown)
  const [counts, sizes] = await Promise.all([
    countAll(search, names).catch(() => names.map(() => null)),
    listIndexes(search, `${prefix}*`).catch(() => []),
  ])
  return names.map((name, at) => ({
    documents: counts[at] ?? null,
    lost: counts[at] === undefined,
    sizeBytes: sizes.find((each) => each.name === name)?.sizeBytes ?? null,
  }))
}

// Of documents, not of Lucene's, which counts nested objects too. Undefined where the index is gone.
async function countAll(search: SearchClient, names: readonly string[]): Promise<(number | null | undefined)[]> {
  const header = (index: string) => JSON.stringify({ index, allow_partial_search_results: false })
  const { status, body } = await search.request<{ responses: Counted[] }>({
    method: 'POST',
    path: '/_msearch',
    query: { filter_path: 'responses.status,responses.hits.total.value' },
    body: names.map((each) => `${header(each)}\n{"size":0,"track_total_hits":true}\n`).join(''),
  })
  assertAnswer(status, body, 'to count documents')
  return body.responses.map((each) => each.status === 404 ? undefined : each.hits?.total.value ?? null)
}

interface Counted {
  status: number
  hits?: { total: { value: number } }
}

/** An index of the cluster. */
interface Listed {
  name: string
  documents: number | null
  sizeBytes: number | null
}

async function listIndexes(search: SearchClient, pattern: string): Promise<Listed[]> {
  const { status, body } = await search.request<Record<string, string | null>[]>({
    method: 'GET',
    path: `/_cat/indices/${encodeURIComponent(pattern)}`,
    query: {
      format: 'json',
      bytes: 'b',
      h: 'index,docs.count,pri.store.size',
      s: 'index',
      expand_wildcards: 'open,closed',
    },
  })
  assertAnswer(status, body, 'to list indexes')
  const number = (text: string | null | undefined) => text === null || text === undefined ? null : Number(text)
  return body.map((each) => ({
    name: each.index!,
    documents: number(each['docs.count']),
    sizeBytes: number(each['pri.store.size']),
  }))
}

/** An index of the cluster that is no version of the config's environment. */
export interface ForeignIndex {
  /** Its name. */
  name: string
  /** Documents in it; null where the cluster does not tell. */
  documents: number | null
  /** Bytes of its primary shards; null where the cluster does not tell. */
  sizeBytes: number | null
  /** Where it is a version that this database made: the prefix of its environment. */
  prefix: string | null
  /** State of that version; `dropped` is a left-over. */
  state: string | null
}

/** Every index of the cluster but hidden ones, those that begin with a dot, and the versions of a prefix. */
export async function listForeignIndexes(
  { store, search }: { store: Store; search: SearchClient },
  prefix: string,
): Promise<ForeignIndex[]> {
  const found = (await listIndexes(search, '*')).filter((each) => !each.name.startsWith('.'))
  const made = await store.db.query<{ physical: string; prefix: string; state: string }>(
    `SELECT v.physical, i.prefix, v.state FROM ${store.table.index_versions} v
     JOIN ${store.table.indexes} i ON i.id = v.index_id WHERE v.physical = ANY ($1)`,
    [found.map((each) => each.name)],
  )
  return found.flatMap((each) => {
    const version = made.find(({ physical }) => physical === each.name)
    if (version?.prefix === prefix && version.state !== 'dropped') return []
    return [{ ...each, prefix: version?.prefix ?? null, state: version?.state ?? null }]
  })
}
