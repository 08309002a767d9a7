/**
 * Physical indexes in the cluster.
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { ElasticUmzugError, NoAnswerError } from '../errors.ts'
import type { SearchClient } from '../ports.ts'
import { assertAnswer, reasonOf } from './bulk.ts'
import { creationSettings } from './settings.ts'
import { assertPipelines } from './pipelines.ts'
import { readAlias, type Version, writeAlias } from './versions.ts'

export { storesAsSent } from './settings.ts'

/** Throws when the cluster does not answer, refuses the login, or is not Elasticsearch 8. */
export async function checkCluster(search: SearchClient): Promise<void> {
  const { status, body } = await search.request<{ version?: { number?: string } }>({ method: 'GET', path: '/' })
    .catch((error) => {
      if (error instanceof NoAnswerError) throw unreachable(search, `does not answer: ${reasonFor(error)}`, error)
      throw error
    })
  if (status === 401 || status === 403) {
    throw new ElasticUmzugError('SEARCH_REFUSED', `Elasticsearch at ${search.label} refused the login (${status}).`, {
      next: 'check user, password or API key of the client in the config file',
    })
  }
  if (status >= 500) throw unreachable(search, `answers with ${status}: ${reasonOf(body) || 'no reason given'}`)
  const number = body?.version?.number
  if (status === 200 && number?.startsWith('8.')) return
  const found = number === undefined ? `no Elasticsearch (it answers with ${status})` : `version ${number}`
  throw new ElasticUmzugError('SEARCH_VERSION', `The server at ${search.label} is ${found}.`, {
    next: 'point `elasticsearch` of the config file at an Elasticsearch 8 cluster (8.19 is tested)',
  })
}

function unreachable(search: SearchClient, what: string, cause?: unknown): ElasticUmzugError {
  return new ElasticUmzugError('SEARCH_UNREACHABLE', `Elasticsearch at ${search.label} ${what}`, {
    next: 'check the URL and that the cluster runs; `npx umzug up --no-search` migrates without it',
    cause,
  })
}

function reasonFor(error: NoAnswerError): string {
  return error.cause instanceof Error && error.cause.message ? error.cause.message : error.message
}

/**
 * Creates the physical index of a version, with its write alias and settings for loading. One that is there already is
 * kept if it is our own, from a run that was killed. Throws `MAPPING_REFUSED` when nothing was made and nothing will be.
 * Deletes are remembered for longer than a claim of `leaseMs` milliseconds lives.
 */
export async function createPhysical(search: SearchClient, version: Version, leaseMs: number): Promise<void> {
  await assertPipelines(search, version)
  await forbidAutoCreate(search, version)
  const { status, body } = await search.request<{ error?: { type?: string } }>({
    method: 'PUT',
    path: `/${encodeURIComponent(version.physical)}`,
    body: {
      mappings: marked(version),
      settings: creationSettings(version.definition, leaseMs),
      aliases: { [writeAlias(version)]: {} },
    },
  })
  if (status === 400 && body?.error?.type === 'resource_already_exists_exception') {
    return await assertOurs(search, version)
  }
  if (status === 400) {
    throw new ElasticUmzugError(
      'MAPPING_REFUSED',
      `Elasticsearch refused the name, mappings or settings of index "${version.index}": ${reasonOf(body)}`,
      { next: `correct the definition of "${version.index}" in the config file, then: npx umzug up` },
    )
  }
  assertAnswer(status, body, `to create ${version.physical}`)
}

/** The mappings of a version with a mark: it tells our index from one of the same name that another database made. */
export function marked(version: Version): Record<string, unknown> {
  const { mappings } = version.definition
  return { ...mappings, _meta: { ...mappings._meta as object, elastic_umzug: markOf(version) } }
}

// A change in place leaves the mark as it is.
function markOf({ hash, olderHashes: [first = hash] = [], createdAt }: Version): string {
  return `${first.slice(0, 8)} ${createdAt}`
}

async function assertOurs(search: SearchClient, version: Version): Promise<void> {
  const { status, body } = await search.request<Record<string, { mappings?: { _meta?: { elastic_umzug?: string } } }>>({
    method: 'GET',
    path: `/${encodeURIComponent(version.physical)}/_mapping`,
  })
  assertAnswer(status, body, `the mappings of ${version.physical}`)
  if (body[version.physical]?.mappings?._meta?.elastic_umzug === markOf(version)) return
  throw new ElasticUmzugError(
    'MAPPING_REFUSED',
    `The cluster has an index ${version.physical} that this database did not make.`,
    {
      next: 'set another `prefix` in the config file, or delete that index, then: npx umzug up',
    },
  )
}

/**
 * Forbids indexes of the names of write aliases: a delete with an external version, sent through an alias that is gone,
 * would create one. Templates of one priority must not overlap (`books-*` and `books-old-*` do), so each has its own.
 */
async function forbidAutoCreate(search: SearchClient, version: Version): Promise<void> {
  const name = readAlias(version)
  const priority = 1_000_000_000 + Number.parseInt(bytesToHex(sha256(utf8ToBytes(name))).slice(0, 7), 16)
  const { status, body } = await search.request({
    method: 'PUT',
    path: `/_index_template/${encodeURIComponent(`elastic-umzug-${name}`)}`,
    body: { index_patterns: [`${name}-*.write`], priority, allow_auto_create: false },
  })
  assertAnswer(status, body, `the index template for ${name}`)
}

/** Whether the physical index exists. */
export async function physicalExists(search: SearchClient, { physical }: Version): Promise<boolean> {
  const { status } = await search.request({ method: 'HEAD', path: `/${encodeURIComponent(physical)}` })
  if (status !== 404) assertAnswer(status, {}, `to look up ${physical}`)
  return status === 200
}

/** Throws `VERSION_NOT_READY` when the physical index is gone from the cluster. */
export async function assertPhysical(search: SearchClient, version: Version): Promise<void> {
  if (await physicalExists(search, version)) return
  throw new ElasticUmzugError('VERSION_NOT_READY', `The physical index ${version.physical} is gone from the cluster.`, {
    next: `npx umzug es:create ${version.index} --force`,
  })
}

/** Makes everything written so far visible to searches. */
export async function refresh(search: SearchClient, name: string): Promise<void> {
  const { status, body } = await search.request({ method: 'POST', path: `/${encodeURIComponent(name)}/_refresh` })
  assertAnswer(status, body, `to refresh ${name}`)
}

/** Number of documents visible in an index; undefined when the index does not exist. */
export async function countDocuments(search: SearchClient, name: string): Promise<number | undefined> {
  const { status, body } = await search.request<{ count: number }>({
    method: 'GET',
    path: `/${encodeURIComponent(name)}/_count`,
  })
  if (status === 404) return undefined
  assertAnswer(status, body, `to count ${name}`)
  return body.count
}
