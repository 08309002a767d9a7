/**
 * Compares every document of the fixture application with its row, both ways, by SQL of its own.
 * @module
 */
import type { Client } from '@elastic/elasticsearch'
import type { Library } from './library.ts'

/** What an index shows: which rows, and which revision of the definition. */
export interface Shown {
  rows: 'books' | 'editions'
  /** Revision of the fixture's definition. Default 1. */
  revision?: number
}

type Documents = Map<string, string>

/** A line for every document that is missing, too much, or not as its row. Everything written before is made visible first. */
export async function differences(library: Library, target: string, shown: Shown): Promise<string[]> {
  await library.client.indices.refresh({ index: target })
  const [rows, documents] = [await rowsOf(library, shown), await documentsOf(library.client, target)]
  const lines: string[] = []
  for (const [key, wanted] of rows) {
    const found = documents.get(key)
    if (found === undefined) lines.push(`${target} ${key}: missing, the row gives ${wanted}`)
    else if (found !== wanted) lines.push(`${target} ${key}: different\n  row:      ${wanted}\n  document: ${found}`)
  }
  for (const [key, found] of documents) {
    if (!rows.has(key)) lines.push(`${target} ${key}: too much, no row gives ${found}`)
  }
  return lines
}

async function rowsOf(library: Library, { rows, revision = 1 }: Shown): Promise<Documents> {
  const sql = rows === 'books' ? bookSql(revision >= 2) : editionSql
  const found = await library.sql<{ key: string; document: object }>(sql)
  return new Map(found.map(({ key, document }) => [key, canonical(document)]))
}

// The documents as the application's models would print them, written by hand.
function bookSql(withCountry: boolean): string {
  const country = withCountry ? `, 'country', a.country` : ''
  return `
    SELECT b.id::text AS key, json_build_object(
      'id', b.id::text, 'title', b.title, 'price', b.price::text, 'stock', b.stock, 'meta', b.meta,
      'releasedAt', to_char(b.released_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'author', CASE WHEN a.id IS NOT NULL THEN json_build_object('id', a.id, 'name', a.name${country}) END,
      'reviews', (SELECT coalesce(json_agg(json_build_object('id', r.id, 'stars', r.stars)), '[]')
        FROM reviews r WHERE r.book_id = b.id),
      'tags', (SELECT coalesce(json_agg(json_build_object('id', t.id, 'label', t.label,
          'BookTag', json_build_object('weight', bt.weight))), '[]')
        FROM book_tags bt JOIN tags t ON t.id = bt.tag_id WHERE bt.book_id = b.id)) AS document
    FROM books b LEFT JOIN authors a ON a.id = b.author_id
    WHERE b.published AND b.deleted_at IS NULL`
}

const editionSql = `
  SELECT e.book_id || ',' || replace(replace(e.format, '\\', '\\\\'), ',', '\\,') AS key,
    json_build_object('bookId', e.book_id::text, 'format', e.format, 'pages', e.pages,
      'book', CASE WHEN b.id IS NOT NULL THEN json_build_object('id', b.id::text, 'title', b.title) END) AS document
  FROM editions e LEFT JOIN books b ON b.id = e.book_id AND b.deleted_at IS NULL`

async function documentsOf(client: Client, target: string): Promise<Documents> {
  const documents: Documents = new Map()
  let answer = await client.search<object>({ index: target, scroll: '1m', size: 2_000 })
  while (answer.hits.hits.length > 0) {
    for (const { _id, _source } of answer.hits.hits) documents.set(_id!, canonical(_source!))
    answer = await client.scroll<object>({ scroll_id: answer._scroll_id!, scroll: '1m' })
  }
  await client.clearScroll({ scroll_id: answer._scroll_id! }).catch(() => {})
  return documents
}

// Neither the order of fields nor that of associated rows means anything.
function canonical(value: unknown): string {
  return JSON.stringify(sorted(value))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(sorted)
    return items.every(isObject) ? items.sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1) : items
  }
  if (!isObject(value)) return value
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
  return Object.fromEntries(entries.map(([name, each]) => [name, sorted(each)]))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
