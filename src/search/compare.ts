/**
 * Compares documents with what the source gives now, while writes go on.
 * @module
 */
import type { Documents, SearchClient, Source } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { readDocuments, type StoredDocument } from './keys.ts'
import type { Version } from './versions.ts'

/** What is wrong with a document. `unmakable`: `document()` threw, so nobody knows what it should be. */
export type Fault = 'missing' | 'different' | 'extra' | 'unmakable'

/** A document that is not as its row. */
export interface Difference {
  /** Key of the document. */
  key: string
  /** What is wrong with it. */
  fault: Fault
  /** Why no document can be made. */
  reason?: string
}

/** What is wrong, in words. */
export function faultOf({ fault, reason }: Difference): string {
  if (fault === 'missing') return 'has a row but no document'
  if (fault === 'extra') return 'has a document but no row'
  return fault === 'different'
    ? 'its document is not what its row gives'
    : `no document can be made of its row: ${reason}`
}

/** What is compared with what. */
export interface Comparison {
  store: Store
  search: SearchClient
  version: Version
  source: Source
  /** False compares keys only. */
  contents: boolean
  /** Processes everything committed before the call; throws to end the comparison. */
  drain(): Promise<unknown>
  /** Gets the external version of every document, for those who look for too high ones. */
  onVersions?: (versions: readonly number[]) => void
}

/** Bytes of documents that are held at once, about. */
const sliceBytes = 2_000_000
const mostKeys = 1_000
const firstKeys = 100

/** What is wrong with the documents of a page of the source. */
export async function differingOfPage(comparison: Comparison, page: Documents): Promise<Difference[]> {
  const wanted = contentsOf(page)
  const failed = page.failed ?? []
  const stored = await lookUp(comparison, [...wanted.keys(), ...failed.map((each) => each.key)])
  const unmakable = failed.flatMap(({ key, reason }) => unmade(comparison, key, stored.get(key), reason))
  return [...wanted.keys()].flatMap((key) =>
    suspect(comparison, key, stored.get(key), { has: true, content: wanted.get(key) })
  )
    .concat(unmakable)
    .map(withoutVersion)
}

/** Those of some keys of documents that no row gives. */
export async function rowless({ source, store }: Comparison, keys: readonly string[]): Promise<string[]> {
  const absent: string[] = []
  for await (const { slice, read } of readRows(source, store, keys)) {
    const present = new Set([...read.keys, ...(read.failed ?? []).map((each) => each.key)])
    absent.push(...slice.filter((key) => !present.has(key)))
  }
  return absent
}

/**
 * The differences among keys that the queue does not bring away. Each round reads a document, then its row, then drains
 * what was committed until then. If the document is the same one after that, it is not on its way: whatever made the row
 * what was read was drained, and would have written the document anew, with a higher version. One that was written anew
 * meanwhile is looked at again. A missing document has no version to tell it by, so it has to be missing twice.
 */
export async function confirmed(comparison: Comparison, keys: readonly string[]): Promise<Difference[]> {
  const found: Difference[] = []
  let missing = new Set<string>()
  let left = keys
  // Ten times in a row only a key is written anew that is always being written: by somebody who reads its row.
  for (let round = 0; left.length > 0 && round < 10; round++) {
    const suspects = await suspectsAmong(comparison, left)
    if (suspects.length === 0) break
    await comparison.drain()
    const now = await versionsOf(comparison, suspects.map((each) => each.key))
    const stays = (each: Suspect) =>
      each.version === now.get(each.key) && (each.version !== undefined || missing.has(each.key))
    found.push(...suspects.filter(stays).map(withoutVersion))
    const moving = suspects.filter((each) => !stays(each))
    missing = new Set(moving.filter((each) => each.version === undefined).map((each) => each.key))
    left = moving.map((each) => each.key)
  }
  return found
}

interface Suspect extends Difference {
  /** External version of the document; undefined when there is none. */
  version: number | undefined
}

async function suspectsAmong(comparison: Comparison, keys: readonly string[]): Promise<Suspect[]> {
  const { source, store } = comparison
  const suspects: Suspect[] = []
  let stored = new Map<string, StoredDocument>()
  // The document before the row: then it cannot have been made from anything that was committed after the row was read.
  const before = async (slice: readonly string[]) => void (stored = await lookUp(comparison, slice))
  for await (const { slice, read } of readRows(source, store, keys, before)) {
    const wanted = contentsOf(read)
    const failed = new Map((read.failed ?? []).map((each) => [each.key, each.reason]))
    for (const key of slice) {
      const reason = failed.get(key)
      suspects.push(
        ...(reason === undefined
          ? suspect(comparison, key, stored.get(key), { has: wanted.has(key), content: wanted.get(key) })
          : unmade(comparison, key, stored.get(key), reason)),
      )
    }
  }
  return suspects
}

// Documents may have any size, and only reading tells: so few at first, then as many as are held easily.
async function* readRows(
  source: Source,
  store: Store,
  keys: readonly string[],
  before?: (slice: readonly string[]) => Promise<void>,
): AsyncGenerator<{ slice: readonly string[]; read: Documents }> {
  let size = firstKeys
  for (let at = 0; at < keys.length;) {
    const slice = keys.slice(at, at + size)
    at += slice.length
    await before?.(slice)
    const read = await source.byKeys(store.db, slice, '1')
    yield { slice, read }
    const most = read.body.length === 0 ? mostKeys : Math.floor(sliceBytes / (read.body.length / slice.length))
    size = Math.max(1, Math.min(mostKeys, size * 2, most))
  }
}

function suspect(
  { contents }: Comparison,
  key: string,
  stored: StoredDocument | undefined,
  wanted: { has: boolean; content: unknown },
): Suspect[] {
  const version = stored?.version
  if (!wanted.has) return stored ? [{ key, fault: 'extra', version }] : []
  if (!stored) return [{ key, fault: 'missing', version }]
  return contents && !sameJson(stored.content, wanted.content) ? [{ key, fault: 'different', version }] : []
}

// Where only keys are compared, it is enough that there is a document.
function unmade(
  { contents }: Comparison,
  key: string,
  stored: StoredDocument | undefined,
  reason: string,
): Suspect[] {
  return stored && !contents ? [] : [{ key, fault: 'unmakable', reason, version: stored?.version }]
}

async function lookUp(
  { search, version, source, contents }: Comparison,
  keys: readonly string[],
): Promise<Map<string, StoredDocument>> {
  const { routing } = source
  return await readDocuments(search, version.physical, { keys, ...(routing && { routing }) }, contents)
}

async function versionsOf(comparison: Comparison, keys: readonly string[]): Promise<Map<string, number>> {
  const versions = new Map<string, number>()
  for (let at = 0; at < keys.length; at += mostKeys) {
    const stored = await lookUp({ ...comparison, contents: false }, keys.slice(at, at + mostKeys))
    for (const { key, version } of stored.values()) versions.set(key, version)
  }
  return versions
}

function withoutVersion({ version: _, ...difference }: Suspect): Difference {
  return difference
}

/** Documents of a body by their key, from its lines in turn: action and document. */
export function contentsOf({ body }: Pick<Documents, 'body'>): Map<string, unknown> {
  const lines = body.split('\n')
  const contents = new Map<string, unknown>()
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const { index } = JSON.parse(lines[at]!) as { index: { _id: string } }
    contents.set(index._id, JSON.parse(lines[at + 1]!))
  }
  return contents
}

/** Whether two parsed values mean the same JSON, whatever the order of their keys and the form of their numbers. */
export function sameJson(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  if (Array.isArray(one) !== Array.isArray(other)) return false
  const names = Object.keys(one)
  return names.length === Object.keys(other).length &&
    names.every((name) =>
      Object.hasOwn(other, name) &&
      sameJson((one as Record<string, unknown>)[name], (other as Record<string, unknown>)[name])
    )
}
