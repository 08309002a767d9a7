/**
 * Physical indexes and aliases in the cluster.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { SearchClient } from '../ports.ts'
import { assertAnswer, reasonOf } from './bulk.ts'
import type { Snapshot } from './definition.ts'
import { definitionAlias, readAlias, type Version, writeAlias } from './versions.ts'

type Settings = Record<string, unknown>

/** Throws when the cluster does not answer, refuses the login, or is not Elasticsearch 8. */
export async function checkCluster(search: SearchClient): Promise<void> {
  const { status, body } = await search.request<{ version?: { number?: string } }>({ method: 'GET', path: '/' })
    .catch((error) => {
      if (error instanceof ElasticUmzugError && error.code !== 'NO_ANSWER') throw error
      throw new ElasticUmzugError('SEARCH_UNREACHABLE', `Elasticsearch at ${search.label} does not answer: ${error.message}`, {
        next: 'check the URL and that the cluster runs; `npx umzug up --no-search` migrates without it',
        cause: error,
      })
    })
  if (status === 401 || status === 403) {
    throw new ElasticUmzugError('SEARCH_REFUSED', `Elasticsearch at ${search.label} refused the login (${status}).`, {
      next: 'check user, password or API key of the client in the config file',
    })
  }
  const number = body?.version?.number
  if (status !== 200 || !number?.startsWith('8.')) {
    throw new ElasticUmzugError('SEARCH_VERSION', `The server at ${search.label} is ${number ?? `unknown (${status})`}.`, {
      next: 'use Elasticsearch 8 (8.19 is tested)',
    })
  }
}

/**
 * Creates the physical index of a version, with its write alias and settings for loading. An index of the name can
 * only be our own from a run that was killed: then it is kept.
 */
export async function createPhysical(search: SearchClient, version: Version): Promise<void> {
  await forbidAutoCreate(search, version)
  const { status, body } = await search.request<{ error?: { type?: string } }>({
    method: 'PUT',
    path: `/${encodeURIComponent(version.physical)}`,
    body: {
      mappings: version.definition.mappings,
      settings: loadingSettings(version.definition),
      aliases: { [writeAlias(version)]: {} },
    },
  })
  if (status === 400 && body?.error?.type === 'resource_already_exists_exception') return
  if (status === 400) {
    throw new ElasticUmzugError(
      'MAPPING_REFUSED',
      `Elasticsearch refused the mappings or settings of index "${version.index}": ${reasonOf(body)}`,
      { next: `correct the definition of "${version.index}" in the config file, then: npx umzug up` },
    )
  }
  assertAnswer(status, body, `to create ${version.physical}`)
}

// A delete with an external version, sent through an alias that is gone, would create an index of the alias's name.
async function forbidAutoCreate(search: SearchClient, version: Version): Promise<void> {
  const name = readAlias(version)
  const { status, body } = await search.request({
    method: 'PUT',
    path: `/_index_template/${encodeURIComponent(`elastic-umzug-${name}`)}`,
    body: { index_patterns: [`${name}-*.write`], priority: 1_000, allow_auto_create: false },
  })
  assertAnswer(status, body, `the index template for ${name}`)
}

/** Whether the physical index exists. */
export async function physicalExists(search: SearchClient, { physical }: Version): Promise<boolean> {
  return (await search.request({ method: 'HEAD', path: `/${encodeURIComponent(physical)}` })).status === 200
}

function flatSettings({ settings }: Snapshot): Settings {
  const { index, ...rest } = settings as { index?: Settings }
  const flat = { ...rest, ...index }
  return Object.fromEntries(Object.entries(flat).map(([key, value]) => [key.replace(/^index\./, ''), value]))
}

// Deletes are remembered for longer than any claim lives: a second net below the claims.
const gcDeletes = '10m'

function loadingSettings(definition: Snapshot): Settings {
  return { gc_deletes: gcDeletes, ...flatSettings(definition), refresh_interval: '-1', number_of_replicas: 0 }
}

/** Gives a loaded index the settings its definition wants. */
export async function restoreSettings(search: SearchClient, version: Version): Promise<void> {
  const { refresh_interval = null, number_of_replicas = null } = flatSettings(version.definition)
  const { status, body } = await search.request({
    method: 'PUT',
    path: `/${encodeURIComponent(version.physical)}/_settings`,
    body: { index: { refresh_interval, number_of_replicas } },
  })
  assertAnswer(status, body, `the settings of ${version.physical}`)
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

/** Physical indexes that an alias points at. */
export async function aliasTargets(search: SearchClient, alias: string): Promise<string[]> {
  const { status, body } = await search.request<Record<string, unknown>>({
    method: 'GET',
    path: `/_alias/${encodeURIComponent(alias)}`,
  })
  if (status === 404) return []
  assertAnswer(status, body, `to read the alias ${alias}`)
  return Object.keys(body)
}

/** Points alias and definition alias at a version, in one atomic request. */
export async function swapAlias(search: SearchClient, version: Version): Promise<void> {
  const alias = readAlias(version)
  const own = definitionAlias(version)
  const remove = async (name: string) =>
    (await aliasTargets(search, name)).filter((index) => index !== version.physical)
      .map((index) => ({ remove: { index, alias: name, must_exist: true } }))
  const actions = [
    ...await remove(alias),
    ...await remove(own),
    { add: { index: version.physical, alias } },
    { add: { index: version.physical, alias: own } },
  ]
  const { status, body } = await search.request<{ errors?: boolean }>({ method: 'POST', path: '/_aliases', body: { actions } })
  assertAnswer(status, body, `to point the alias ${alias} at ${version.physical}`)
  if (body.errors) {
    throw new ElasticUmzugError('SEARCH_FAILED', `Elasticsearch moved the alias ${alias} only in part: ${JSON.stringify(body)}`, {
      next: `npx umzug es:activate ${version.index}@${version.number}`,
    })
  }
}
