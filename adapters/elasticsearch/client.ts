/**
 * The application's Elasticsearch client as the core's search client.
 * @module
 */
import { ElasticUmzugError, NoAnswerError } from '../../src/errors.ts'
import type { SearchAnswer, SearchClient, SearchRequest } from '../../src/ports.ts'

/** The members of an `@elastic/elasticsearch` client that are used. */
export interface ElasticsearchClientLike {
  transport: { request(params: object, options: object): Promise<unknown> }
  connectionPool?: { connections?: { url?: URL }[] }
}

interface TransportError extends Error {
  statusCode?: number
  body?: unknown
  cause?: { code?: string } | undefined
  meta?: { body?: unknown; statusCode?: number; meta?: unknown }
}

/** Sends requests through the client's transport: once each, never retried, every status an answer. */
export function fromElasticsearch(client: ElasticsearchClientLike): SearchClient {
  const label = labelOf(client)
  return {
    label,
    request: <Body>(request: SearchRequest) => send<Body>(client, label, request),
  }
}

async function send<Body>(
  client: ElasticsearchClientLike,
  label: string,
  { method, path, query, body, timeoutMs = 30_000 }: SearchRequest,
): Promise<SearchAnswer<Body>> {
  const content = typeof body === 'string' ? { bulkBody: body } : body === undefined ? {} : { body }
  try {
    const answer = await client.transport.request(
      { method, path, querystring: query ?? {}, ...content },
      // A retry inside the client would be a second copy of the request that nobody waits for.
      { requestTimeout: timeoutMs, maxRetries: 0, meta: true },
    ) as { statusCode: number; body: Body }
    return { status: answer.statusCode, body: answer.body }
  } catch (error) {
    return refused<Body>(error as TransportError, label)
  }
}

function refused<Body>(error: TransportError, label: string): SearchAnswer<Body> {
  const status = error.meta?.statusCode ?? error.statusCode
  if (error.name === 'ResponseError' && status !== undefined) {
    return { status, body: (error.meta?.body ?? error.body ?? {}) as Body }
  }
  if (error.name === 'ProductNotSupportedError') {
    throw new ElasticUmzugError('SEARCH_VERSION', `The server at ${label} is not Elasticsearch.`, {
      next: 'point `elasticsearch` of the config file at an Elasticsearch 8 cluster',
      cause: error,
    })
  }
  throw new NoAnswerError(`No answer from Elasticsearch at ${label}: ${error.message}`, wasSent(error), error)
}

// Only a connection that was never made proves that nothing was sent.
const neverConnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT', 'EHOSTUNREACH'])

function wasSent(error: TransportError): boolean {
  if (error.name === 'NoLivingConnectionsError') return false
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (neverConnected.has((each as { code?: string }).code ?? '')) return false
  }
  return !/ECONNREFUSED|ENOTFOUND|Connect Timeout Error/.test(error.message)
}

function labelOf(client: ElasticsearchClientLike): string {
  const hosts = (client.connectionPool?.connections ?? []).map((each) => each.url?.host ?? '').filter(Boolean)
  return hosts.join(', ') || 'Elasticsearch'
}
