/**
 * A source over plain tables, written by hand: books with the name of their author.
 * @module
 */
import type { Dependency, Documents, Queryable, Source } from '../../src/ports.ts'

/** SQL of the tables. */
export const bookTables = [
  'CREATE TABLE authors (id int PRIMARY KEY, name text)',
  `CREATE TABLE books (id int PRIMARY KEY, title text, author_id int REFERENCES authors, hidden boolean NOT NULL DEFAULT false)`,
  'CREATE INDEX ON books (author_id)',
]

/** Mappings of the documents. */
export const bookMappings = {
  dynamic: 'strict',
  properties: { title: { type: 'text' }, author: { type: 'keyword' } },
}

const table = { schema: 'public', name: 'books' }

const own = (keys: string) => `SELECT DISTINCT k.id AS key FROM (SELECT r ->> 'id' AS id FROM ${keys}) k`
const above = '($2::text IS NULL OR b.id > $2::text::int)'

/** What the documents depend on. */
export const bookDependencies: Dependency[] = [
  {
    table: 'public.books',
    columns: ['id', 'title', 'author_id', 'hidden'],
    capture: ['id'],
    keys: own('jsonb_array_elements($1::jsonb) r'),
    own: true,
    allKeys: `SELECT b.id::text AS key FROM public.books b WHERE ${above} ORDER BY b.id LIMIT $3::int`,
  },
  {
    table: 'public.authors',
    columns: ['id', 'name'],
    capture: ['id'],
    keys: `SELECT b.id::text AS key FROM public.books b WHERE b.author_id IN
      (SELECT (r ->> 'id')::int FROM jsonb_array_elements($1::jsonb) r) AND ${above} ORDER BY b.id LIMIT $3::int`,
    own: false,
    allKeys: `SELECT b.id::text AS key FROM public.books b WHERE b.author_id IS NOT NULL AND ${above}
      ORDER BY b.id LIMIT $3::int`,
  },
]

interface Row {
  key: string
  title: string | null
  author: string | null
  hidden: boolean
}

const columns = 'b.id::text AS key, b.title, a.name AS author, b.hidden'
const from = 'public.books b LEFT JOIN public.authors a ON a.id = b.author_id'

/** The source. Hidden books have no document. A title that begins with `unmakable` cannot be made into one. */
export function bookSource(dependencies: Dependency[] = bookDependencies): Source {
  return {
    table,
    tables: [table, { schema: 'public', name: 'authors' }],
    dependencies: () => Promise.resolve(dependencies),
    async page(db, { after, upTo }, { rows, bytes }, version) {
      const read = await db.query<Row>(
        `SELECT ${columns} FROM ${from} WHERE ($1::text IS NULL OR b.id > $1::text::int)
         AND ($2::text IS NULL OR b.id <= $2::text::int) ORDER BY b.id LIMIT $3`,
        [after, upTo, rows],
      )
      return documentsOf(read, version, bytes)
    },
    async byKeys(db, keys, version) {
      const sql = `SELECT ${columns} FROM ${from} WHERE b.id = ANY ($1::text[]::int[]) ORDER BY b.id`
      return documentsOf(await db.query<Row>(sql, [keys]), version, Infinity)
    },
    async count(db) {
      const [row] = await db.query<{ count: number }>(
        'SELECT count(*)::int AS count FROM public.books WHERE NOT hidden',
      )
      return row!.count
    },
    split: (db, parts) => split(db, parts),
  }
}

async function split(db: Queryable, parts: number): Promise<string[]> {
  const rows = await db.query<{ key: string }>(
    `SELECT max(id)::text AS key FROM (SELECT id, ntile($1) OVER (ORDER BY id) AS part FROM public.books) b
     GROUP BY part ORDER BY part`,
    [parts],
  )
  return rows.slice(0, -1).map((each) => each.key)
}

function documentsOf(rows: Row[], version: string, bytes: number): Documents {
  const documents: Documents = { count: 0, body: '', keys: [], last: null, failed: [] }
  for (const { key, title, author, hidden } of rows) {
    documents.last = key
    if (hidden) continue
    if (title?.startsWith('unmakable')) {
      documents.failed!.push({ key, reason: title })
      continue
    }
    documents.body += `{"index":{"_id":"${key}","version":${version},"version_type":"external"}}\n`
    // A title that begins with `refused` gets a field that the strict mapping does not have.
    documents.body += `${JSON.stringify(title?.startsWith('refused') ? { title, unmapped: 1 } : { title, author })}\n`
    documents.keys.push(key)
    documents.count++
    if (documents.body.length >= bytes) break
  }
  return documents
}
