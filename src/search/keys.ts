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
  /** Where it is not found by its key alone. */
  routing?: string
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
  const reader = await openReader(search, name)
  try {
    yield* pagesOf(search, { reader, size })
  } finally {
    await closeReader(search, reader)
  }
}

/** A fraction of the documents that can be read again and again, although others may have changed meanwhile. */
export interface Window {
  /** The first sequence number in it. */
  from: number
  /** The first sequence number behind it. */
  upTo: number
}

/** Most windows of an index, and the least number of sequence numbers in one. */
const windows = { most: 1_000, least: 50_000 }

/**
 * Keys and versions of every document that was written before the call, in pages; `from` leaves out those that were
 * written before it, by their sequence number. Behind each window comes a page with `next`: from there another call goes on,
 * because a document keeps its number until it is written again.
 */
export async function* documentsFrom(
  search: SearchClient,
  name: string,
  from: number,
): AsyncGenerator<{ documents: Numbered[]; next?: number }> {
  const reader = await openReader(search, name)
  try {
    const end = await sequenceEnd(search, reader)
    const step = Math.max(windows.least, Math.ceil(end / windows.most))
    for (let at = from; at < end; at += step) {
      const upTo = Math.min(at + step, end)
      for await (const documents of pagesOf(search, { reader, size: 1_000, window: { from: at, upTo } })) {
        yield { documents }
      }
      yield { documents: [], next: upTo }
    }
  } finally {
    await closeReader(search, reader)
  }
}

// Opens a point in time of what was written before the call.
async function openReader(search: SearchClient, name: string): Promise<string> {
  await refresh(search, name)
  const path = `/${encodeURIComponent(name)}/_pit`
  const { status, body } = await search.request<{ id: string }>({
    method: 'POST',
    path,
    query: { keep_alive: keepAlive },
  })
  assertAnswer(status, body, `a point in time of ${name}`)
  return body.id
}

async function closeReader(search: SearchClient, reader: string): Promise<void> {
  await search.request({ method: 'DELETE', path: '/_pit', body: { id: reader } }).catch(() => {})
}

async function sequenceEnd(search: SearchClient, reader: string): Promise<number> {
  const [last] = await hitsOf(search, { reader, size: 1, sort: [{ _seq_no: 'desc' }] })
  return last ? Number(last.sort[0]) + 1 : 0
}

async function* pagesOf(
  search: SearchClient,
  { reader, size, window }: { reader: string; size: number; window?: Window },
): AsyncGenerator<Numbered[]> {
  const query = window && { range: { _seq_no: { gte: window.from, lt: window.upTo } } }
  let after: unknown[] | undefined
  for (;;) {
    const hits = await hitsOf(search, { reader, size, sort: [{ _shard_doc: 'asc' }], after, query })
    if (hits.length > 0) yield hits.map(numbered)
    if (hits.length < size) return
    after = hits[hits.length - 1]!.sort
  }
}

function numbered({ _id: key, _version: version, _routing: routing }: Hit): Numbered {
  return { key, version, ...(routing !== undefined && { routing }) }
}

interface Hit {
  _id: string
  _version: number
  _routing?: string
  sort: unknown[]
}

/** Keys and versions of some documents of an index, at random; sees what was written before the call. */
export async function randomDocuments(search: SearchClient, name: string, size: number): Promise<Numbered[]> {
  await refresh(search, name)
  const query = { function_score: { query: { match_all: {} }, random_score: {} } }
  return (await hitsOf(search, { index: name, size, query })).map(numbered)
}

interface Asked {
  /** A point in time, or else an index as it is. */
  reader?: string
  index?: string
  size: number
  sort?: object[]
  after?: unknown[] | undefined
  query?: object | undefined
}

async function hitsOf(search: SearchClient, { reader, index, size, sort, after, query }: Asked): Promise<Hit[]> {
  const { status, body } = await search.request<{ hits: { hits: Hit[] } }>({
    method: 'POST',
    path: index === undefined ? '/_search' : `/${encodeURIComponent(index)}/_search`,
    // Half a list would leave keys unseen, so a failed shard fails the request.
    query: { allow_partial_search_results: false },
    body: {
      size,
      _source: false,
      version: true,
      track_total_hits: false,
      ...(reader !== undefined && { pit: { id: reader, keep_alive: keepAlive } }),
      ...(sort && { sort }),
      ...(query && { query }),
      ...(after && { search_after: after }),
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
