/**
 * The marker's document in Elasticsearch, and what the cluster tells of itself.
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { SearchClient } from '../ports.ts'
import { assertAnswer } from './bulk.ts'

/** The marker's document. */
export interface Mark {
  /** Counter. */
  n: number
  /** Drawn once by the database; a copy of it has the same. */
  databaseId: string
  /** Where the database was. */
  identity: Record<string, string>
  /** Id of the cluster. */
  cluster: string | null
  /** No number above it had been drawn when the marker was counted up. */
  highest: string
}

/** What the cluster tells of itself. */
export interface SeenCluster {
  /** Its id. */
  cluster: string | null
  /** Node → an id that is new with every start of it; null where the login may not see nodes. */
  nodes: Record<string, string> | null
  /** Physical index → an id that is new when it is restored or made anew. */
  indexes: Record<string, string>
}

/** Of requests that a transaction of the database waits for. */
const timeoutMs = 5_000

/**
 * Name of the index that holds the marker: of its own for every prefix, own schema and database, by names: a database that
 * was put into the place of another finds the marker of that one, and others of the same cluster do not.
 */
export function markerName(prefix: string, schema: string, database: string): string {
  const plain = schema.toLowerCase().replace(/[^a-z0-9_-]/g, '_')
  const hash = bytesToHex(sha256(utf8ToBytes(JSON.stringify([schema, database])))).slice(0, 8)
  return `${prefix}elastic-umzug~${plain.slice(0, 63)}-${hash}`
}

/** The marker; undefined when there is none. */
export async function readMark(search: SearchClient, name: string): Promise<Mark | undefined> {
  const path = `/${encodeURIComponent(name)}/_doc/marker`
  const { status, body } = await search.request<{ _source?: Mark }>({ method: 'GET', path, timeoutMs })
  if (status === 404) return undefined
  assertAnswer(status, body, 'to read its marker')
  return body._source
}

/**
 * Writes the marker, unless a later one is there already; makes its index first where it is missing. Written through an
 * alias that has to exist, as documents are: Elasticsearch makes no index by itself.
 */
export async function writeMark(search: SearchClient, name: string, mark: Mark): Promise<void> {
  if (await putMark(search, name, mark)) return
  await createMarker(search, name)
  await putMark(search, name, mark)
}

async function putMark(search: SearchClient, name: string, mark: Mark): Promise<boolean> {
  const { status, body } = await search.request({
    method: 'PUT',
    path: `/${encodeURIComponent(`${name}.write`)}/_doc/marker`,
    query: { require_alias: true, version: mark.n, version_type: 'external' },
    body: mark,
    timeoutMs,
  })
  if (status === 404) return false
  if (status !== 409) assertAnswer(status, body, 'to write its marker')
  return true
}

async function createMarker(search: SearchClient, name: string): Promise<void> {
  const { status, body } = await search.request<{ error?: { type?: string } }>({
    method: 'PUT',
    path: `/${encodeURIComponent(name)}`,
    body: {
      settings: { number_of_shards: 1, auto_expand_replicas: '0-1', hidden: true },
      mappings: { dynamic: false },
      aliases: { [`${name}.write`]: { is_hidden: true } },
    },
  })
  if (body?.error?.type !== 'resource_already_exists_exception') assertAnswer(status, body, 'to create its marker')
}

/** What the cluster tells of itself and of some indexes. */
export async function readCluster(search: SearchClient, names: readonly string[]): Promise<SeenCluster> {
  const { status, body } = await search.request<{ cluster_uuid?: string }>({ method: 'GET', path: '/', timeoutMs })
  assertAnswer(status, body, 'to say which cluster it is')
  return {
    cluster: body.cluster_uuid ?? null,
    nodes: await readNodes(search),
    indexes: await readIndexes(search, names),
  }
}

async function readNodes(search: SearchClient): Promise<Record<string, string> | null> {
  const { status, body } = await search.request<{ nodes?: Record<string, Node> }>({
    method: 'GET',
    path: '/_cluster/state/nodes',
    query: { filter_path: 'nodes.*.ephemeral_id,nodes.*.roles' },
    timeoutMs,
  })
  // The rest is of use without it.
  if (status === 401 || status === 403) return null
  assertAnswer(status, body, 'to list its nodes')
  const holding = Object.entries(body.nodes ?? {}).filter(([, { roles = [] }]) =>
    roles.some((each) => /^data/.test(each))
  )
  return Object.fromEntries(holding.map(([id, node]) => [id, node.ephemeral_id]))
}

interface Node {
  ephemeral_id: string
  roles?: string[]
}

/** Names in one path: a line of a request may have 4,096 bytes, a name 255. */
export const namesAtOnce: number = 12

/** Ids of those of some indexes that there are, by name: an index that was made anew has another one. */
export async function readIndexes(search: SearchClient, names: readonly string[]): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (let at = 0; at < names.length; at += namesAtOnce) {
    const { status, body } = await search.request<Record<string, { settings?: { index?: { uuid?: string } } }>>({
      method: 'GET',
      path: `/${names.slice(at, at + namesAtOnce).map(encodeURIComponent).join(',')}/_settings/index.uuid`,
      query: { ignore_unavailable: true, expand_wildcards: 'all' },
      timeoutMs,
    })
    assertAnswer(status, body, 'to tell the ids of indexes')
    for (const [name, { settings }] of Object.entries(body)) found[name] = settings?.index?.uuid ?? ''
  }
  return found
}
