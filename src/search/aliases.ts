/**
 * Aliases in the cluster: where readers and writers find a version.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { SearchClient } from '../ports.ts'
import { assertAnswer } from './bulk.ts'
import { definitionAlias, readAlias, type Version, writeAlias } from './versions.ts'

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
  await update(search, version, await pointingDefinitions(search, version))
}

// One that was changed in place is that of older code as well.
async function pointingDefinitions(search: SearchClient, version: Version): Promise<object[]> {
  const actions: object[] = []
  for (const hash of [version.hash, ...version.olderHashes ?? []]) {
    const alias = definitionAlias({ ...version, hash })
    actions.push(...pointing(version, alias, await aliasTargets(search, alias)))
  }
  return actions
}

/**
 * Points alias and definition alias at a version, in one atomic request. Gives what the alias pointed at before. It is
 * refused where the version has no write alias any more: then it is dropped, and about to be deleted.
 */
export async function swapAlias(search: SearchClient, version: Version): Promise<string[]> {
  const before = await aliasTargets(search, readAlias(version))
  await update(search, version, [
    { remove: { index: version.physical, alias: writeAlias(version), must_exist: true } },
    { add: { index: version.physical, alias: writeAlias(version) } },
    ...pointing(version, readAlias(version), before),
    ...(await pointingDefinitions(search, version)),
  ])
  return before
}

/** Takes the write alias from a version that is dropped: nothing is written to it and no alias points at it from then on. */
export async function withdrawWriteAlias(search: SearchClient, version: Version): Promise<void> {
  const remove = { index: version.physical, alias: writeAlias(version) }
  const { status, body } = await search.request({ method: 'POST', path: '/_aliases', body: { actions: [{ remove }] } })
  // Its alias is withdrawn already, or the index is gone.
  if (status !== 404) assertAnswer(status, body, `to withdraw the write alias of ${version.physical}`)
}

/** Gives a version its write alias back, where somebody took it away. */
export async function giveWriteAlias(search: SearchClient, version: Version): Promise<void> {
  await update(search, version, [{ add: { index: version.physical, alias: writeAlias(version) } }])
}

/** Moves an alias from one version to another in one request; false when it was not there any more, or the other is gone. */
export async function handOver(search: SearchClient, alias: string, from: Version, to: Version): Promise<boolean> {
  const actions = [
    { remove: { index: from.physical, alias, must_exist: true } },
    { add: { index: to.physical, alias } },
  ]
  const { status, body } = await search.request({ method: 'POST', path: '/_aliases', body: { actions } })
  if (status === 404) return false
  assertAnswer(status, body, `to point the alias ${alias} at ${to.physical}`)
  return true
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
