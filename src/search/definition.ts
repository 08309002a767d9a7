/**
 * The definition of an index, and its identity.
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { ElasticUmzugError } from '../errors.ts'
import type { Source } from '../ports.ts'

/** What the user writes. */
export interface DefinitionOptions {
  /** The alias that readers use, without prefix: lower case, as Elasticsearch takes it. */
  name: string
  /** The mappings as Elasticsearch takes them. */
  mappings: Record<string, unknown>
  /** The settings as Elasticsearch takes them, with or without the outer `index`. */
  settings?: Record<string, unknown>
  /** Anything whose change means: the same mappings, but other documents. */
  revision?: string | number
  /** Where the documents come from. */
  source: Source
  /** Name of its database, where the config has several and the source is not made from models of one. Default: the first. */
  database?: string
}

/** A definition, identified by the hash of its mappings, settings and revision, and of how its source makes ids. */
export interface Definition extends DefinitionOptions {
  /** SHA-256 of the canonical JSON, hexadecimal. */
  readonly hash: string
}

/** What is stored of a definition: enough to make the same index again. */
export interface Snapshot {
  /** As Elasticsearch takes them. */
  mappings: Record<string, unknown>
  /** As Elasticsearch takes them. */
  settings: Record<string, unknown>
  /** Null where none was given. */
  revision: string | number | null
  /** How the source makes ids and routing, where not by the primary key alone. */
  ids?: string
}

/** Checks a definition and gives it its hash. Throws `DEFINITION_INVALID`. */
export function defineIndex(options: DefinitionOptions): Definition {
  assertName(options?.name)
  if (!isObject(options.mappings)) invalid(options.name, '`mappings` is not an object')
  if (options.settings !== undefined && !isObject(options.settings)) {
    invalid(options.name, '`settings` is not an object')
  }
  if (typeof options.source?.page !== 'function') {
    invalid(options.name, '`source` is not a source', "make it with `fromModel(Model)` of 'elastic-umzug/sequelize'")
  }
  return { ...options, hash: hashOf(snapshotOf(options)) }
}

/** The part of a definition that is stored and hashed. */
export function snapshotOf({ mappings, settings = {}, revision, source: { ids } }: DefinitionOptions): Snapshot {
  return { mappings, settings, revision: revision ?? null, ...(ids !== undefined && { ids }) }
}

/** Two equal definitions have one hash, whatever the order of their keys. */
function hashOf(snapshot: Snapshot): string {
  return bytesToHex(sha256(utf8ToBytes(canonicalJson(snapshot))))
}

/** JSON with sorted keys. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, each) => isObject(each) ? sorted(each) : each)
}

function sorted(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function assertName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '') invalid(String(name), 'it has no name')
  const fault = name !== name.toLowerCase()
    ? 'it has upper-case letters'
    : /[\\/*?"<>|,#:\s\p{C}]/u.test(name)
    ? 'it has one of the characters \\ / * ? " < > | , # :, a blank, or a character that does not print'
    : /^[-_+.]/.test(name)
    ? 'it begins with one of - _ + .'
    : /~|@/.test(name)
    ? 'it has ~ or @, which separate a name from a hash and a number'
    : utf8ToBytes(name).length > 200
    ? 'it is longer than 200 bytes'
    : undefined
  if (fault) invalid(name, `Elasticsearch would refuse the name: ${fault}`, 'rename it in the config file')
}

function invalid(name: string, why: string, next: string = 'correct it in the config file'): never {
  throw new ElasticUmzugError('DEFINITION_INVALID', `The definition of index "${name}" is wrong: ${why}.`, { next })
}

/** Throws `DEFINITION_DUPLICATE` when two definitions have one name, or one's alias would be the name of a version of another. */
export function assertDistinct(definitions: readonly Definition[]): void {
  const seen = new Set<string>()
  for (const { name } of definitions) {
    if (seen.has(name)) duplicate(`Two definitions have the name "${name}"`)
    seen.add(name)
  }
  for (const name of seen) {
    const [, other] = /^(.+)-\d+$/.exec(name) ?? []
    if (other && seen.has(other)) duplicate(`"${name}" is what a version of "${other}" would be called`)
  }
}

function duplicate(what: string): never {
  throw new ElasticUmzugError('DEFINITION_DUPLICATE', `${what}.`, {
    next: 'give one of them another name in `indexes` of the config file',
  })
}
