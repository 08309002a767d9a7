/**
 * Bulk lines in one text: an action line and a document in turn, each ended by a line break.
 * @module
 */
import type { Documents, PageSize } from '../../src/ports.ts'

/** The key of the last document; null when there is none. */
export function lastKey(body: string): string | null {
  if (body === '') return null
  const document = body.lastIndexOf('\n', body.length - 2)
  const action = body.lastIndexOf('\n', document - 1) + 1
  return (JSON.parse(body.slice(action, document)) as { index: { _id: string } }).index._id
}

/** Documents as far as `bytes` go: one that begins within them is whole, and there is at least one. */
export function cutText(documents: Documents, bytes: number): Documents {
  const { body } = documents
  if (body.length <= bytes) return documents
  let count = 0
  let end = 0
  while (end < body.length && (end < bytes || count === 0)) {
    end = body.indexOf('\n', body.indexOf('\n', end) + 1) + 1
    count++
  }
  const kept = body.slice(0, end)
  return { ...documents, count, body: kept, last: lastKey(kept) }
}

/** Rows of the first page, whose documents may have any size. */
const firstRows = 100

// Half as much again as a page holds, so that few pages are read short and little is read for nothing.
const surplus = 1.5

/** How many rows to read for a page, by the bytes of a row on the page before. */
export function rowsFor({ rows, bytes }: PageSize, bytesPerRow: number | undefined): number {
  const fitting = bytesPerRow === undefined ? firstRows : Math.ceil(surplus * bytes / bytesPerRow)
  return Math.max(1, Math.min(rows, fitting))
}
