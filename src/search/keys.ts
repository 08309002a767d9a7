/**
 * Keys and contents of the documents in an index.
 * @module
 */
import type { SearchClient, Source } from '../ports.ts'
import { assertAnswer } from './bulk.ts'
import { refresh } from './physical.ts'

// Between two pages the reader may wait for the queue.
const keepAlive = '10m'

/** A document's key and external version. */
export interface Numbered {
  key: string
  /** Rounded above 2^53. */
  version: number
}

/** Keys of every document that was written before the call, in pages. */
export async function* documentKeys(
  search: SearchClient,
  name: string,
  size: number = 1_000,
): AsyncGenerator<string[]> {
  for await (const page of documentVersions(search, name, size)) yield page.map((each) => each.key)
}

/** Keys and versions of every document that was written before the call, in pages. */
export async function* documentVersions(
  search: SearchClient,
  name: string,
  size: number = 1_000,
): AsyncGenerator<Numbered[]> {
  await refresh(search, name)
  const path = `/${encodeURIComponent(name)}/_pit`
  const opened = await search.request<{ id: string }>({ method: 'POST', path, query: { keep_alive: keepAlive } })
  assertAnswer(opened.status, opened.body, `a point in time of ${name}`)
  const { id } = opened.body
  try {
    let after: unknown[] | undefined
    for (;;) {
      const hits = await nextHits(search, { id, size, after })
      if (hits.length > 0) yield hits.map(({ _id: key, _version: version }) => ({ key, version }))
      if (hits.length < size) return
      after = hits[hits.length - 1]!.sort
    }
  } finally {
    await search.request({ method: 'DELETE', path: '/_pit', body: { id } }).catch(() => {})
  }
}

interface Hit {
  _id: string
  _version: number
  sort: unknown[]
}

async function nextHits(
  search: SearchClient,
  { id, size, after }: { id: string; size: number; after: unknown[] | undefined },
): Promise<Hit[]> {
  const { status, body } = await search.request<{ hits: { hits: Hit[] } }>({
    method: 'POST',
    path: '/_search',
    // Half a list would leave keys unseen, so a failed shard fails the request.
    query: { allow_partial_search_results: false },
    body: {
      size,
      _source: false,
      version: true,
      track_total_hits: false,
      pit: { id, keep_alive: keepAlive },
      sort: [{ _shard_doc: 'asc' }],
      ...(after ? { search_after: after } : {}),
    },
  })
  assertAnswer(status, body, 'to list documents')
  return body.hits.hits
}

/** A document as it is stored. */
export interface StoredDocument extends Numbered {
  /** Its content, parsed; undefined where it was not asked for. */
  content: unknown
}

/**
 * The documents of some keys of a source, as far as there are any; sees what was written before the call, refreshed or
 * not.
 */
export async function readDocuments(
  search: SearchClient,
  name: string,
  { keys, routing }: { keys: readonly string[] } & Pick<Source, 'routing'>,
  contents: boolean,
): Promise<Map<string, StoredDocument>> {
  if (keys.length === 0) return new Map()
  const { status, body } = await search.request<{ docs: Found[] }>({
    method: 'POST',
    path: `/${encodeURIComponent(name)}/_mget`,
    query: { _source: contents },
    body: routing ? { docs: keys.map((each) => ({ _id: each, routing: routing(each) })) } : { ids: keys },
  })
  assertAnswer(status, body, `to look up documents of ${name}`)
  for (const { error } of body.docs) if (error) assertAnswer(500, { error }, `to look up documents of ${name}`)
  const found = body.docs.filter((each) => each.found)
  return new Map(found.map(({ _id: key, _version: version, _source: content }) => [key, { key, version, content }]))
}

interface Found {
  _id: string
  _version: number
  _source?: unknown
  found?: boolean
  error?: { reason?: string }
}
