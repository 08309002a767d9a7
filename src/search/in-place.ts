/**
 * Changes that need no new version are put into the index that is there.
 *
 * First the cluster, then the row: killed in between, the same command puts the same once more. From the row on the version is
 * that of both definitions, and running code of either serves it: see `queue/outdated.ts` for what older code writes then.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { SearchClient } from '../ports.ts'
import { pointDefinitionAlias } from './aliases.ts'
import { assertAnswer, reasonOf } from './bulk.ts'
import { canonicalJson, type Definition, type Snapshot, snapshotOf } from './definition.ts'
import { refreshDependencies } from './dependencies.ts'
import { type Change, diffForms, type Form, wayOf } from './diff.ts'
import { formOf, templateForm } from './forms.ts'
import type { LifecycleDeps } from './lifecycle.ts'
import { assertPhysical, marked } from './physical.ts'
import { flatSettings } from './settings.ts'
import { rootDefaults, ways } from './updateable.ts'
import { isComplete, isNewestOf, readVersion, type Version } from './versions.ts'

/** What would have to change of a version for a definition. */
export async function changesFor(search: SearchClient, version: Version, definition: Definition): Promise<Change[]> {
  const wanted = snapshotOf(definition)
  const forms = diffForms(
    await formOf(search, version.definition, version.physical),
    await formOf(search, wanted, `index "${definition.name}" in the code`),
  )
  return [...identity(version.definition, wanted), ...forms]
}

/** Differences of what is no mapping and no setting: other documents, or other ids. */
export function identity(before: Snapshot, after: Snapshot): Change[] {
  const names = ['revision', 'ids'] as const
  return names.filter((each) => canonicalJson(before[each] ?? null) !== canonicalJson(after[each] ?? null)).map((
    path,
  ) => ({
    path,
    kind: 'changed',
    before: before[path] ?? null,
    after: after[path] ?? null,
    way: ways.populate,
    refresh: false,
  }))
}

/**
 * Puts a definition into the index of a version. Throws `VERSION_NOT_READY` where the version is not complete, and
 * `MAPPING_REFUSED` where something of it needs a new version; then nothing has changed.
 */
export async function changeInPlace(deps: LifecycleDeps, version: Version, definition: Definition): Promise<Version> {
  const { search, store } = deps
  assertChangeable(version)
  await assertPhysical(search, version)
  const changes = isNewestOf(version, definition) ? [] : await changesFor(search, version, definition)
  assertInPlace(version, changes)
  const changed = { ...version, definition: snapshotOf(definition) }
  if (changes.length > 0) {
    deps.assertHeld()
    await putSettings(search, changed, changes)
    await putMappings(search, changed, changes)
  }
  if (!isNewestOf(version, definition)) {
    await pointDefinitionAlias(search, { ...version, hash: definition.hash, olderHashes: [] })
    await recordChange(deps, version, definition)
  }
  const now = await readVersion(store, version.id)
  const isReadAnew = await refreshDependencies(deps, now, definition)
  tell(deps, now, changes, isReadAnew)
  return now
}

function assertChangeable(version: Version): void {
  if (isComplete(version) && version.abandonedAt === null) return
  const state = version.abandonedAt === null ? version.state : 'given up'
  throw new ElasticUmzugError(
    'VERSION_NOT_READY',
    `${version.physical} is ${state}; only what is complete is changed.`,
    {
      next: `npx umzug es:create ${version.index}`,
    },
  )
}

function assertInPlace(version: Version, changes: readonly Change[]): void {
  const others = changes.filter((each) => each.way !== ways.inPlace)
  if (others.length === 0) return
  throw new ElasticUmzugError(
    'MAPPING_REFUSED',
    `${version.physical} cannot be changed in place; a new version is needed for ${
      others.map((each) => each.path).join(', ')
    }.`,
    { next: `npx umzug es:create ${version.index}; npx umzug es:diff ${version.index} shows every change` },
  )
}

async function putSettings(search: SearchClient, version: Version, changes: readonly Change[]): Promise<void> {
  const names = changes.flatMap(({ path }) => path.startsWith('settings: ') ? [path.slice('settings: '.length)] : [])
  if (names.length === 0) return
  // What the definition says nothing of any more is as in a new version: by the cluster's templates, or the default.
  const wanted = { ...(await templateForm(search, version)).settings, ...flatSettings(version.definition) }
  await put(search, version, '_settings', {
    index: Object.fromEntries(names.map((each) => [each, wanted[each] ?? null])),
  })
}

async function putMappings(search: SearchClient, version: Version, changes: readonly Change[]): Promise<void> {
  const removed = changes.filter((each) => each.kind === 'removed').map((each) => each.path)
  const defaults = Object.entries(rootDefaults).filter(([name]) => removed.includes(`mappings: ${name}`))
  const runtime = removed.filter((each) => each.startsWith('runtime ')).map((
    each,
  ) => [each.slice('runtime '.length), null])
  const mappings = { ...Object.fromEntries(defaults), ...marked(version) } as Form['mappings']
  if (runtime.length > 0) mappings.runtime = { ...mappings.runtime as object, ...Object.fromEntries(runtime) }
  await put(search, version, '_mapping', mappings)
}

async function put(search: SearchClient, { physical, index }: Version, what: string, body: object): Promise<void> {
  const answer = await search.request({ method: 'PUT', path: `/${encodeURIComponent(physical)}/${what}`, body })
  if (answer.status !== 400) return assertAnswer(answer.status, answer.body, `to change ${physical}`)
  throw new ElasticUmzugError(
    'MAPPING_REFUSED',
    `Elasticsearch refused to change ${physical} in place: ${reasonOf(answer.body)}`,
    { next: `npx umzug es:diff ${index} live shows what is in the cluster; npx umzug es:create ${index}` },
  )
}

// Both hashes from the same moment on: no worker of either code stops serving it.
async function recordChange({ store, tag }: LifecycleDeps, { id }: Version, definition: Definition): Promise<void> {
  await store.db.query(
    `UPDATE ${store.table.index_versions} SET definition = $2::jsonb, hash = $3, tag = coalesce($4, tag),
       older_hashes = array_append(array_remove(array_remove(older_hashes, $3), hash), hash)
     WHERE id = $1 AND hash <> $3`,
    [id, JSON.stringify(snapshotOf(definition)), definition.hash, tag],
  )
}

function tell({ onLine }: LifecycleDeps, version: Version, changes: readonly Change[], isReadAnew: boolean): void {
  const { physical, index, number } = version
  const update = `npx umzug es:update ${index}@${number}`
  if (changes.length > 0) onLine(`${physical}: changed in place: ${changes.map((each) => each.path).join(', ')}`)
  if (isReadAnew) return onLine(`${physical}: other columns are read, every document is written again by the workers`)
  if (changes.length === 0) {
    return onLine(`${physical}: as the definition says; ${update} writes documents again that lack what was added`)
  }
  if (wayOf(changes) && changes.some((each) => each.refresh)) {
    onLine(`${physical}: documents that are there lack it; once new code runs: ${update}`)
  }
}
