/**
 * Compares a whole version with its source, page by page, both ways; memory does not grow with the index.
 * @module
 */
import type { Documents } from '../ports.ts'
import { type Comparison, confirmed, type Difference, differingOfPage, rowless } from './compare.ts'
import { documentVersions } from './keys.ts'

/** Rows of a page, and keys that are looked into together. */
const page = { rows: 1_000, bytes: 2_000_000 }
const chunkSize = 1_000

/**
 * What stays different after the queue was drained past it, in parts. First documents against rows, then rows against
 * documents. `onPage` is called after every page with its size, and may wait or throw.
 */
export async function* differences(
  comparison: Comparison,
  onPage: (size: number) => Promise<void>,
): AsyncGenerator<Difference[]> {
  let suspects: string[] = []
  for await (const { size, keys } of comparedPages(comparison)) {
    suspects.push(...keys)
    await onPage(size)
    if (suspects.length < chunkSize) continue
    yield await confirmed(comparison, suspects)
    suspects = []
  }
  if (suspects.length > 0) yield await confirmed(comparison, suspects)
}

/** Pages with the keys in them that seem to differ. */
async function* comparedPages(comparison: Comparison): AsyncGenerator<{ size: number; keys: string[] }> {
  const { search, version, source, store } = comparison
  for await (const documents of documentVersions(search, version.physical)) {
    comparison.onVersions?.(documents.map((each) => each.version))
    yield { size: documents.length, keys: await rowless(comparison, documents.map((each) => each.key)) }
  }
  for (let after: string | null = null;;) {
    const read: Documents = await source.page(store.db, { after, upTo: null }, page, '1')
    if (read.last === null) return
    yield { size: read.count, keys: (await differingOfPage(comparison, read)).map((each) => each.key) }
    after = read.last
  }
}
