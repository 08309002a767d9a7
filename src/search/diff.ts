/**
 * What differs between two forms of an index, path by path, and how each difference can be put right.
 * @module
 */
import { canonicalJson } from './definition.ts'
import { parameterWay, rootDefaults, settingWay, type Way, ways } from './updateable.ts'

/** Values by name. */
export type Values = Record<string, unknown>

/** An index as Elasticsearch itself writes it down: without defaults, numbers and booleans as text, settings by names of one level. */
export interface Form {
  mappings: Values
  settings: Values
}

/** One difference. */
export interface Change {
  /** Where: `author.name` is a field, `author.name: ignore_above` a parameter of it, `settings: codec` a setting. */
  path: string
  /** Whether the second one has it, the first one had it, or both have another value. */
  kind: 'added' | 'removed' | 'changed'
  /** Undefined where it was added. */
  before?: unknown
  /** Undefined where it was removed. */
  after?: unknown
  /** How it reaches an index that is there. */
  way: Way
  /** True where documents that are there have to be written again before it holds for them. */
  refresh: boolean
  /** What is special about it. */
  note?: string
}

/** The differences between two forms, in the order of mappings, then settings. */
export function diffForms(before: Form, after: Form): Change[] {
  return [...diffMappings(before.mappings, after.mappings), ...diffSettings(before.settings, after.settings)]
}

/** The way that all of these changes can go; undefined where there are none. */
export function wayOf(changes: readonly Pick<Change, 'way' | 'refresh' | 'kind'>[]): Way | undefined {
  const found = changes.map((each) => each.way)
  if (found.includes(ways.populate)) return ways.populate
  // Documents of the old version lack what is new, so a copy of them would as well.
  if (found.includes(ways.copy)) return changes.some((each) => each.refresh) ? ways.populate : ways.copy
  return found.length > 0 ? ways.inPlace : undefined
}

function diffMappings(before: Values, after: Values): Change[] {
  const parts = ['properties', 'runtime']
  const root = namesOf(before, after).filter((each) => !parts.includes(each))
  return [
    ...root.flatMap((name) => compare(`mappings: ${name}`, before[name], after[name], () => rootWay(name))),
    ...diffNamed(
      before.runtime,
      after.runtime,
      (name, from, to) => compare(`runtime ${name}`, from, to, () => ({ way: ways.inPlace, refresh: false })),
    ),
    ...diffFields('', before, after),
  ]
}

function rootWay(name: string): Pick<Change, 'way' | 'refresh'> {
  if (name === '_source') return { way: ways.populate, refresh: false }
  return { way: name in rootDefaults ? ways.inPlace : ways.copy, refresh: false }
}

function diffSettings(before: Values, after: Values): Change[] {
  return namesOf(before, after).flatMap((name) =>
    compare(`settings: ${name}`, before[name], after[name], () => settingWay(name))
  )
}

function diffFields(path: string, before: Values, after: Values): Change[] {
  return diffNamed(before.properties, after.properties, (name, from, to) => diffField(path + name, from, to, false))
}

function diffField(path: string, before: unknown, after: unknown, isPart: boolean): Change[] {
  if (before === undefined) return [{ path, kind: 'added', after, ...added(after, isPart) }]
  if (after === undefined) return [{ path, kind: 'removed', before, ...removed(isPart) }]
  const [from, to] = [before as Values, after as Values]
  const type = typeOf(from)
  if (type !== typeOf(to)) return [{ path, kind: 'changed', before, after, way: ways.copy, refresh: false }]
  const parameters = namesOf(from, to).filter((each) => !['type', 'properties', 'fields'].includes(each))
  return [
    ...parameters.flatMap((name) =>
      compare(`${path}: ${name}`, from[name], to[name], (change) => parameterWay(name, { type, ...change }))
    ),
    ...diffNamed(from.fields, to.fields, (name, part, other) => diffField(`${path}.${name}`, part, other, true)),
    ...diffFields(`${path}.`, from, to),
  ]
}

function added(field: unknown, isPart: boolean): Pick<Change, 'way' | 'refresh' | 'note'> {
  const type = typeOf(field as Values)
  if (type === 'alias') return { way: ways.inPlace, refresh: false }
  const note = isPart
    ? 'documents that are there can be found by it once they are written again'
    : 'documents that are there lack it until they are written again'
  return { way: ways.inPlace, refresh: true, note }
}

function removed(isPart: boolean): Pick<Change, 'way' | 'refresh' | 'note'> {
  if (isPart) return { way: ways.copy, refresh: false }
  return { way: ways.populate, refresh: false, note: 'Elasticsearch never takes a field out of an index' }
}

function typeOf({ type }: Values): string {
  return typeof type === 'string' ? type : 'object'
}

type Judge = (change: { before: unknown; after: unknown }) => Pick<Change, 'way' | 'refresh'>

function compare(path: string, before: unknown, after: unknown, judge: Judge): Change[] {
  if (same(before, after)) return []
  const kind = before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'
  return [{ path, kind, ...defined({ before, after }), ...judge({ before, after }) }]
}

function defined({ before, after }: { before: unknown; after: unknown }): Pick<Change, 'before' | 'after'> {
  return { ...(before !== undefined && { before }), ...(after !== undefined && { after }) }
}

function same(one: unknown, other: unknown): boolean {
  return one !== undefined && other !== undefined ? canonicalJson(one) === canonicalJson(other) : one === other
}

function diffNamed(
  before: unknown,
  after: unknown,
  diff: (name: string, before: unknown, after: unknown) => Change[],
): Change[] {
  const [from, to] = [(before ?? {}) as Values, (after ?? {}) as Values]
  return namesOf(from, to).flatMap((name) => diff(name, from[name], to[name]))
}

function namesOf(before: Values, after: Values): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
}
