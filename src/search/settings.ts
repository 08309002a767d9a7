/**
 * Settings of physical indexes: those a definition wants, and those for the time of loading.
 * @module
 */
import type { SearchClient } from '../ports.ts'
import { assertAnswer } from './bulk.ts'
import type { Snapshot } from './definition.ts'
import type { Version } from './versions.ts'

type Settings = Record<string, unknown>

/** The settings of a definition, by names of one level without `index.`, however they were nested. */
export function flatSettings({ settings }: Pick<Snapshot, 'settings'>): Settings {
  return Object.fromEntries(flattened(settings).map(([name, value]) => [name.replace(/^index\./, ''), value]))
}

function flattened(settings: Settings): [string, unknown][] {
  return Object.entries(settings).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? flattened(value as Settings).map(([inner, each]): [string, unknown] => [`${name}.${inner}`, each])
      : [[name, value]]
  )
}

/** Whether the cluster stores documents as they were sent: neither leaves anything out of `_source` nor adds to it. */
export function storesAsSent({ mappings, settings }: Pick<Snapshot, 'mappings' | 'settings'>): boolean {
  const { enabled = true, includes, excludes, mode } = (mappings._source ?? {}) as Settings
  const flat = flatSettings({ settings })
  const rewrites = ['logsdb', 'time_series'].includes(String(flat.mode)) ? 'synthetic' : 'stored'
  const isStored = (mode ?? flat['mapping.source.mode'] ?? rewrites) === 'stored'
  return String(enabled) === 'true' && !includes && !excludes && isStored && pipelinesOf({ settings }).length === 0
}

/** Names of the ingest pipelines that documents go through. */
export function pipelinesOf(definition: Pick<Snapshot, 'settings'>): string[] {
  const { default_pipeline, final_pipeline } = flatSettings(definition)
  return [default_pipeline, final_pipeline].map((each) => String(each ?? '_none')).filter((each) => each !== '_none')
}

/**
 * Settings while a version is loaded: nobody searches it yet, and what a crash of the cluster takes from it is noticed
 * (`durable.ts`) and loaded again.
 */
const loading: Settings = {
  refresh_interval: '-1',
  number_of_replicas: 0,
  auto_expand_replicas: 'false',
  'translog.durability': 'async',
}

/** Names of the settings that a version has only while it is loaded. */
export const loadingNames: readonly string[] = Object.keys(loading)

/** Whether the documents of a version go through ingest pipelines. */
export function isPiped({ definition }: Pick<Version, 'definition'>): boolean {
  return pipelinesOf(definition).length > 0
}

/** Settings that a physical index is created with. Deletes are remembered for longer than a claim of `leaseMs` lives. */
export function creationSettings(definition: Snapshot, leaseMs: number): Settings {
  // Rule 12 of the protocol: a second net below the claims.
  const gc_deletes = `${Math.max(10, Math.ceil(2 * leaseMs / 60_000))}m`
  return { gc_deletes, ...flatSettings(definition), ...loading }
}

/** Gives an index the settings for loading; `durable` false leaves out what only a crash can be noticed by. */
export async function loadFast(search: SearchClient, version: Version, isWatched: boolean): Promise<void> {
  const { 'translog.durability': durability, ...others } = loading
  const wanted = isWatched ? durability : (await wantedSettings(search, version))['translog.durability']
  await putSettings(search, version, { ...others, 'translog.durability': wanted })
}

/** Gives a loaded index the settings its definition wants, or else those of the cluster's templates, or the defaults. */
export async function restoreSettings(search: SearchClient, version: Version, timeoutMs = 30_000): Promise<void> {
  await putSettings(search, version, await wantedSettings(search, version), timeoutMs)
}

/** Restores the settings of a version that still has those for loading: its run was killed. True when it had. */
export async function endLoading(search: SearchClient, version: Version): Promise<boolean> {
  const { status, body } = await search.request<Record<string, { settings?: Settings }>>({
    method: 'GET',
    path: `/${encodeURIComponent(version.physical)}/_settings`,
    query: { flat_settings: true },
  })
  if (status === 404) return false
  assertAnswer(status, body, `to read the settings of ${version.physical}`)
  const settings = body[version.physical]?.settings ?? {}
  const wanted = flatSettings(version.definition)
  const isLoading = ['refresh_interval', 'translog.durability'].every((name) =>
    settings[`index.${name}`] === loading[name]
  )
  const isWanted = ['refresh_interval', 'translog.durability'].every((name) => wanted[name] === loading[name])
  if (!isLoading || isWanted) return false
  await restoreSettings(search, version)
  return true
}

async function wantedSettings(search: SearchClient, version: Version): Promise<Settings> {
  const wanted = { ...await templateSettings(search, version), ...flatSettings(version.definition) }
  return Object.fromEntries(loadingNames.map((name) => [name, wanted[name] ?? null]))
}

// Null would be the default of Elasticsearch, not of the cluster's templates for indexes of this name.
async function templateSettings(search: SearchClient, { physical }: Version): Promise<Settings> {
  const { status, body } = await search.request<{ template?: { settings?: Settings } }>({
    method: 'POST',
    path: `/_index_template/_simulate_index/${encodeURIComponent(physical)}`,
    query: { filter_path: 'template.settings' },
  })
  return status === 200 ? flatSettings({ settings: body.template?.settings ?? {} }) : {}
}

async function putSettings(
  search: SearchClient,
  { physical }: Version,
  settings: Settings,
  timeoutMs = 30_000,
): Promise<void> {
  const { status, body } = await search.request<{ acknowledged?: boolean }>({
    method: 'PUT',
    path: `/${encodeURIComponent(physical)}/_settings`,
    body: { index: settings },
    timeoutMs,
  })
  assertAnswer(body.acknowledged === false ? 503 : status, body, `the settings of ${physical}`)
}
