/**
 * Aliases in the cluster: where readers and writers find a version.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { SearchClient } from '../ports.ts'
import { assertAnswer } from './bulk.ts'
import { definitionAlias, readAlias, type Version } from './versions.ts'

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

/** Throws `DEFINITION_INVALID` when an index, not an alias, has the name that readers use: no alias can have it then. */
export async function assertAliasFree(search: SearchClient, version: Pick<Version, 'prefix' | 'index'>): Promise<void> {
  const alias = readAlias(version)
  const { status } = await search.request({ method: 'HEAD', path: `/${encodeURIComponent(alias)}` })
  if (status === 404 || (await aliasTargets(search, alias)).length > 0) return
  if (status !== 200) return assertAnswer(status, {}, `to look up ${alias}`)
  throw new ElasticUmzugError(
    'DEFINITION_INVALID',
    `The cluster has an index named ${alias}, so no alias can have that name.`,
    { next: `rename "${version.index}" in the config file, set another prefix, or delete the index ${alias}` },
  )
}

/** Points the alias of exactly this definition at its version: readers of this code have it from then on. */
export async function pointDefinitionAlias(search: SearchClient, version: Version): Promise<void> {
  const alias = definitionAlias(version)
  await update(search, version, pointing(version, alias, await aliasTargets(search, alias)))
}

/** Points alias and definition alias at a version, in one atomic request. Gives what the alias pointed at before. */
export async function swapAlias(search: SearchClient, version: Version): Promise<string[]> {
  const before = await aliasTargets(search, readAlias(version))
  await update(search, version, [
    ...pointing(version, readAlias(version), before),
    ...pointing(version, definitionAlias(version), await aliasTargets(search, definitionAlias(version))),
  ])
  return before
}

function pointing({ physical }: Version, alias: string, before: readonly string[]): object[] {
  const others = before.filter((index) => index !== physical)
  const remove = others.map((index) => ({ remove: { index, alias, must_exist: true } }))
  return [...remove, { add: { index: physical, alias } }]
}

async function update(search: SearchClient, version: Version, actions: object[]): Promise<void> {
  const { status, body } = await search.request<{ errors?: boolean }>({
    method: 'POST',
    path: '/_aliases',
    body: { actions },
  })
  assertAnswer(status, body, `to point the aliases of ${version.physical}`)
  // Elasticsearch answers 200 also when an action matched nothing.
  if (!body.errors) return
  throw new ElasticUmzugError(
    'SEARCH_FAILED',
    `Elasticsearch moved the aliases only in part: ${JSON.stringify(body)}`,
    {
      next: `npx umzug es:activate ${version.index}@${version.number}`,
    },
  )
}
