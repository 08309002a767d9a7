/**
 * Forms of an index by Elasticsearch itself: whatever it leaves out, adds or writes otherwise is the same in all of them.
 *
 * A simulated index template makes one of a definition, analyzers checked, and creates nothing.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { SearchClient } from '../ports.ts'
import { assertAnswer, reasonOf } from './bulk.ts'
import { canonicalJson, type Snapshot } from './definition.ts'
import { diffForms, type Form, type Values } from './diff.ts'
import { flatSettings } from './settings.ts'
import { rootDefaults } from './updateable.ts'
import type { Version } from './versions.ts'

/** The form of a definition. Throws `MAPPING_REFUSED` where Elasticsearch would take no such index. */
export async function formOf(search: SearchClient, snapshot: Snapshot, name: string): Promise<Form> {
  const { status, body } = await search.request<{ template?: Partial<Form> }>({
    method: 'POST',
    path: '/_index_template/_simulate',
    body: {
      index_patterns: ['elastic-umzug-form-of-a-definition'],
      template: { mappings: snapshot.mappings, settings: flatSettings(snapshot) },
    },
  })
  if (status === 400) {
    throw new ElasticUmzugError(
      'MAPPING_REFUSED',
      `Elasticsearch refuses the mappings or settings of ${name}: ${deepReason(body) || reasonOf(body)}`,
      { next: 'correct the definition in the config file; what was refused is not compared' },
    )
  }
  assertAnswer(status, body, `the form of ${name}`)
  const template = { mappings: body.template?.mappings ?? {}, settings: body.template?.settings ?? {} }
  return normalForm({ ...template, settings: without(template.settings, snapshot) })
}

// Which data tier an index is on is added to every template, also where the definition says nothing of it.
function without(settings: Values, snapshot: Snapshot): Values {
  const flat = flatSettings({ settings })
  const wanted = flatSettings(snapshot)
  return Object.fromEntries(Object.entries(flat).filter(([name]) => name in wanted || name !== tierSetting))
}

const tierSetting = 'routing.allocation.include._tier_preference'

// The innermost cause names the field; the outer ones speak of a template that nobody asked for.
function deepReason(body: unknown): string {
  let cause = (body as { error?: { reason?: string; caused_by?: object } }).error
  while (cause?.caused_by) cause = cause.caused_by as typeof cause
  return cause?.reason ?? ''
}

/** The form of the index that is in the cluster; undefined where there is none. */
export async function liveForm(
  search: SearchClient,
  { physical }: Pick<Version, 'physical'>,
): Promise<Form | undefined> {
  const { status, body } = await search.request<Record<string, Form>>({
    method: 'GET',
    path: `/${encodeURIComponent(physical)}`,
    query: { flat_settings: true, features: 'mappings,settings' },
  })
  if (status === 404) return undefined
  assertAnswer(status, body, `the mappings and settings of ${physical}`)
  return normalForm(body[physical]!)
}

/** What index templates of the cluster give to an index of this name. */
export async function templateForm(search: SearchClient, { physical }: Pick<Version, 'physical'>): Promise<Form> {
  const { status, body } = await search.request<{ template?: Partial<Form> }>({
    method: 'POST',
    path: `/_index_template/_simulate_index/${encodeURIComponent(physical)}`,
  })
  assertAnswer(status, body, `the index templates for ${physical}`)
  return normalForm({ mappings: body.template?.mappings ?? {}, settings: body.template?.settings ?? {} })
}

/** Numbers and booleans as text, settings by names of one level, and without what means the same when it is left out. */
function normalForm({ mappings, settings }: Form): Form {
  const { _meta, ...rest } = asText(mappings) as Values
  const { elastic_umzug: _mark, ...meta } = (_meta ?? {}) as Values
  const plain = withoutDefaults({ ...rest, ...(Object.keys(meta).length > 0 && { _meta: meta }) })
  const flat = Object.entries(flatSettings({ settings })).filter(([, value]) => value !== null)
  return { mappings: plain, settings: Object.fromEntries(flat.map(([name, value]) => [name, listText(value)])) }
}

function withoutDefaults(mappings: Values): Values {
  return Object.fromEntries(
    Object.entries(mappings).filter(([name, value]) =>
      canonicalJson(value) !== canonicalJson(rootDefaults[name] ?? null)
    ),
  )
}

function asText(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asText)
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, asText(each)]))
}

// A list may be given as one text.
function listText(value: unknown): string {
  return Array.isArray(value) ? value.map(String).join(',') : String(value)
}

/** Whether two forms are the same. */
export function isSameForm(one: Form, other: Form): boolean {
  return diffForms(one, other).length === 0
}
