/**
 * Compares a whole version with its source, page by page, both ways; memory does not grow with the index.
 * @module
 */
import type { Documents } from '../ports.ts'
import { type Comparison, confirmed, type Difference, differingOfPage, rowless } from './compare.ts'
import { documentsFrom } from './keys.ts'

/** Rows of a page, and keys that are looked into together. */
const page = { rows: 1_000, bytes: 2_000_000 }
const chunkSize = 1_000
/** Pages of rows from one place to go on from to the next. */
const pagesApart = 10

/** Where a comparison goes on: among the documents, by sequence number, or among the rows, behind a key. */
export type Position = { documents: number } | { rows: string }

/** A part of what was found. */
export interface Part {
  found: Difference[]
  /** Everything before this place is compared, and told; undefined where some of it is still looked into. */
  position?: Position
}

/** How to walk through both sides. */
export interface Walk {
  /** Where to begin; default at the beginning. */
  from?: Position | undefined
  /** Called after every page with its size; may wait or throw. */
  onPage(size: number): Promise<void>
}

/**
 * What stays different after the queue was drained past it, in parts. First documents against rows, then rows against
 * documents.
 */
export async function* differences(comparison: Comparison, { from, onPage }: Walk): AsyncGenerator<Part> {
  let suspects: string[] = []
  for await (const { size, keys, position } of comparedPages(comparison, from)) {
    suspects.push(...keys)
    if (size > 0) await onPage(size)
    if (suspects.length < chunkSize && !position) continue
    const found = await confirmed(comparison, suspects)
    suspects = []
    yield { found, ...(position && { position }) }
  }
  if (suspects.length > 0) yield { found: await confirmed(comparison, suspects) }
}

interface ComparedPage {
  size: number
  /** Those that seem to differ. */
  keys: string[]
  /** Where one can go on behind this page. */
  position?: Position
}

async function* comparedPages(comparison: Comparison, from: Position = { documents: 0 }): AsyncGenerator<ComparedPage> {
  if ('documents' in from) yield* documentPages(comparison, from.documents)
  yield* rowPages(comparison, 'rows' in from ? from.rows : null)
}

async function* documentPages(comparison: Comparison, from: number): AsyncGenerator<ComparedPage> {
  const { search, version } = comparison
  for await (const { documents, next } of documentsFrom(search, version.physical, from)) {
    comparison.onVersions?.(documents.map((each) => each.version))
    const keys = documents.map((each) => each.key)
    yield {
      size: documents.length,
      keys: await rowless(comparison, keys),
      ...(next !== undefined && { position: { documents: next } }),
    }
  }
}

async function* rowPages(comparison: Comparison, from: string | null): AsyncGenerator<ComparedPage> {
  const { source, store } = comparison
  for (let after = from, number = 1;; number++) {
    const read: Documents = await source.page(store.db, { after, upTo: null }, page, '1')
    if (read.last === null) return
    after = read.last
    const keys = (await differingOfPage(comparison, read)).map((each) => each.key)
    yield { size: read.count, keys, ...(number % pagesApart === 0 && { position: { rows: after } }) }
  }
}
