/**
 * Keys of the documents in an index.
 * @module
 */
import type { SearchClient } from '../ports.ts'
import { assertAnswer } from './bulk.ts'
import { refresh } from './physical.ts'

const keepAlive = '2m'

/** Keys of every document that was written before the call, in pages. */
export async function* documentKeys(
  search: SearchClient,
  name: string,
  size: number = 1_000,
): AsyncGenerator<string[]> {
  await refresh(search, name)
  const path = `/${encodeURIComponent(name)}/_pit`
  const opened = await search.request<{ id: string }>({ method: 'POST', path, query: { keep_alive: keepAlive } })
  assertAnswer(opened.status, opened.body, `a point in time of ${name}`)
  const { id } = opened.body
  try {
    let after: unknown[] | undefined
    for (;;) {
      const hits = await nextHits(search, { id, size, after })
      if (hits.length > 0) yield hits.map((each) => each._id)
      if (hits.length < size) return
      after = hits[hits.length - 1]!.sort
    }
  } finally {
    await search.request({ method: 'DELETE', path: '/_pit', body: { id } }).catch(() => {})
  }
}

interface Hit {
  _id: string
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
      track_total_hits: false,
      pit: { id, keep_alive: keepAlive },
      sort: [{ _shard_doc: 'asc' }],
      ...(after ? { search_after: after } : {}),
    },
  })
  assertAnswer(status, body, 'to list documents')
  return body.hits.hits
}

/** Which of some keys have a document; sees what was written before the call, refreshed or not. */
export async function existingKeys(search: SearchClient, name: string, keys: readonly string[]): Promise<Set<string>> {
  if (keys.length === 0) return new Set()
  const { status, body } = await search.request<{ docs: { _id: string; found?: boolean }[] }>({
    method: 'POST',
    path: `/${encodeURIComponent(name)}/_mget`,
    query: { _source: false },
    body: { ids: keys },
  })
  assertAnswer(status, body, `to look up documents of ${name}`)
  return new Set(body.docs.filter((each) => each.found).map((each) => each._id))
}
