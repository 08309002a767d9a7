/**
 * Compares a part of a version with its source: about as many rows as were asked for, and as many documents, at random.
 * @module
 */
import { type Comparison, confirmed, type Difference, differingOfPage, rowless } from './compare.ts'
import { randomDocuments } from './keys.ts'

/** What a sample showed. */
export interface Sampled {
  /** Documents and rows that were compared. */
  compared: number
  /** What stays different after the queue was drained past it. */
  found: Difference[]
}

/** Most documents of a sample: what a search gives at once. */
export const mostSampled = 10_000

const rowsAtOnce = 100

/** Compares `size` documents with their rows, and `size` rows with their documents. */
export async function sample(comparison: Comparison, size: number): Promise<Sampled> {
  const keys: string[] = []
  let compared = 0
  for await (const page of pages(comparison, size)) {
    compared += page.size
    keys.push(...page.keys)
  }
  return { compared, found: await confirmed(comparison, [...new Set(keys)]) }
}

async function* pages(comparison: Comparison, size: number): AsyncGenerator<{ size: number; keys: string[] }> {
  const { search, version } = comparison
  const documents = await randomDocuments(search, version.physical, size)
  comparison.onVersions?.(documents.map((each) => each.version))
  yield { size: documents.length, keys: await rowless(comparison, documents.map((each) => each.key)) }
  yield* rowPages(comparison, size)
}

async function* rowPages(comparison: Comparison, size: number): AsyncGenerator<{ size: number; keys: string[] }> {
  const { source, store } = comparison
  const number = Math.ceil(size / rowsAtOnce)
  // Cut into another number of parts each time, so that not the same rows are looked at again and again.
  const cuts = await source.split(store.db, number * 2 + Math.floor(Math.random() * number * 6))
  for (const after of chosen([null, ...cuts], number)) {
    const read = await source.page(store.db, { after, upTo: null }, { rows: rowsAtOnce, bytes: 2_000_000 }, '1')
    yield { size: read.count, keys: (await differingOfPage(comparison, read)).map((each) => each.key) }
  }
}

function chosen<T>(all: readonly T[], number: number): T[] {
  const left = [...all]
  const taken: T[] = []
  while (taken.length < number && left.length > 0) {
    taken.push(...left.splice(Math.floor(Math.random() * left.length), 1))
  }
  return taken
}
