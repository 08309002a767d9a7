/**
 * What somebody changed of an index behind our back.
 * @module
 */
import type { SearchClient } from '../ports.ts'
import { canonicalJson } from './definition.ts'
import { type Change, diffForms, type Form, type Values } from './diff.ts'
import { formOf, liveForm, templateForm } from './forms.ts'
import { loadingNames } from './settings.ts'
import { isComplete, type Version } from './versions.ts'

/**
 * How the index in the cluster differs from the stored definition of its version; undefined where there is no such index. What
 * Elasticsearch adds by itself, what its index templates give, what documents added where the mappings allow it, and our own
 * settings are no drift.
 */
export async function driftOf(search: SearchClient, version: Version): Promise<Change[] | undefined> {
  const live = await liveForm(search, version)
  if (!live) return undefined
  const stored = await formOf(search, version.definition, version.physical)
  const given = new Set(diffForms(stored, await templateForm(search, version)).map(toText))
  return diffForms(stored, live)
    .filter((each) => each.kind !== 'added' || !given.has(toText(each)))
    .filter((each) => !isOwn(each, version) && !isDynamic(each, stored))
}

function toText({ path, after }: Change): string {
  return `${path} ${canonicalJson(after)}`
}

const added = [
  'creation_date',
  'gc_deletes',
  'history.uuid',
  'number_of_replicas',
  'number_of_shards',
  'provided_name',
  'resize.',
  'routing.allocation.include._tier_preference',
  'routing.allocation.initial_recovery.',
  'uuid',
  'verified_before_close',
  'version.',
]

function isOwn({ path, kind }: Change, version: Version): boolean {
  const [, setting] = path.split('settings: ')
  if (setting === undefined) return false
  if (!isComplete(version) && loadingNames.includes(setting)) return true
  return kind === 'added' &&
    added.some((each) => each === setting || each.endsWith('.') && setting.startsWith(each))
}

// Where mappings are dynamic, documents add fields: below the closest object that says so, or the root.
function isDynamic({ path, kind }: Change, { mappings }: Form): boolean {
  if (kind !== 'added' || path.includes(': ')) return false
  if (path.startsWith('runtime ')) return mappings.dynamic === 'runtime'
  let at = mappings
  let dynamic = mappings.dynamic ?? 'true'
  for (const name of path.split('.')) {
    const next = (at.properties as Record<string, Values> | undefined)?.[name]
    if (!next) break
    at = next
    dynamic = at.dynamic ?? dynamic
  }
  return dynamic === 'true' && !(at.type !== undefined && !['object', 'nested'].includes(String(at.type)))
}
