/**
 * Tables, models and a checker for the capture specs: what was recorded is compared with what really changed.
 * @module
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { DataTypes, type Model, type ModelStatic, Sequelize } from 'sequelize'
import { installCapture } from '../../adapters/sequelize/capture.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import type { Definition } from '../../src/search/definition.ts'
import { applySchema } from '../../src/store/schema.ts'
import { openStore } from '../../src/store/store.ts'

/** Any model, attributes unchecked. */
export type AnyModel = ModelStatic<Model<Record<string, unknown>, Record<string, unknown>>>

/** Columns that are read and captured of every watched table. */
export const reads: Record<string, { columns: string[]; capture: string[] }> = {
  authors: { columns: ['id', 'name', 'rank'], capture: ['id'] },
  books: { columns: ['id', 'title', 'pages', 'author_id'], capture: ['id', 'author_id'] },
  tags: { columns: ['id', 'label'], capture: ['id'] },
  book_tags: { columns: ['book_id', 'tag_id', 'weight'], capture: ['book_id', 'tag_id'] },
  reviews: { columns: ['id', 'book_id', 'stars', 'deletedAt'], capture: ['id', 'book_id'] },
  slots: { columns: ['id', 'shelf_code'], capture: ['id', 'shelf_code'] },
}

const tables = `
CREATE TABLE authors (id serial PRIMARY KEY, name text UNIQUE, bio text, rank int DEFAULT 0);
CREATE TABLE books (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text, pages int, notes text,
  author_id int REFERENCES authors ON DELETE CASCADE ON UPDATE CASCADE, "createdAt" timestamptz, "updatedAt" timestamptz);
CREATE TABLE tags (id bigserial PRIMARY KEY, label text);
CREATE TABLE book_tags (book_id uuid REFERENCES books ON DELETE CASCADE ON UPDATE CASCADE,
  tag_id bigint REFERENCES tags ON DELETE CASCADE ON UPDATE CASCADE, weight int, PRIMARY KEY (book_id, tag_id));
CREATE TABLE reviews (id bigserial PRIMARY KEY, stars int, book_id uuid REFERENCES books ON DELETE SET NULL, "deletedAt" timestamptz);
CREATE TABLE shelves (code text PRIMARY KEY, label text);
CREATE TABLE slots (id serial PRIMARY KEY, shelf_code text DEFAULT 'A' REFERENCES shelves ON DELETE SET DEFAULT ON UPDATE CASCADE);
`

const names = ['authors', 'books', 'tags', 'book_tags', 'reviews', 'shelves', 'slots']

/** Key of the book with this number. */
export const book = (number: number): string => `00000000-0000-4000-8000-00000000000${number}`

const seed = `
TRUNCATE ${names.join(', ')} RESTART IDENTITY CASCADE;
INSERT INTO authors (name, bio) SELECT 'author ' || n, 'bio' FROM generate_series(1, 4) n;
INSERT INTO books (id, title, pages, notes, author_id) SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'book ' || n, n, 'x', (n + 1) / 2
  FROM generate_series(1, 6) n;
INSERT INTO tags (label) SELECT 'tag ' || n FROM generate_series(1, 3) n;
INSERT INTO book_tags (book_id, tag_id, weight) SELECT b.id, t.id, 1 FROM books b, tags t WHERE t.id <= 2 AND b.pages <= 3;
INSERT INTO reviews (stars, book_id) SELECT pages, id FROM books;
INSERT INTO shelves VALUES ('A', 'a'), ('B', 'b'), ('C', 'c');
INSERT INTO slots (shelf_code) VALUES ('A'), ('B'), ('B'), ('C');
`

/** The models of an ordinary application. */
export interface Models {
  Author: AnyModel
  Book: AnyModel
  Tag: AnyModel
  BookTag: AnyModel
  Review: AnyModel
  Shelf: AnyModel
  Slot: AnyModel
}

/** Defines the models on an instance. */
export function defineModels(sequelize: Sequelize): Models {
  const plain = { timestamps: false, underscored: true }
  const serial = { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true }
  const big = { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true }
  const { TEXT, INTEGER } = DataTypes
  const Author = sequelize.define('Author', {
    id: serial,
    name: { type: TEXT, unique: true },
    bio: TEXT,
    rank: INTEGER,
  }, {
    ...plain,
    tableName: 'authors',
    scopes: { first: { where: { id: 1 } } },
  })
  const Book = sequelize.define('Book', {
    id: { type: DataTypes.UUID, primaryKey: true, defaultValue: DataTypes.UUIDV4 },
    title: TEXT,
    pages: INTEGER,
    notes: TEXT,
    authorId: { type: INTEGER, field: 'author_id' },
  }, { tableName: 'books' })
  const Tag = sequelize.define('Tag', { id: big, label: TEXT }, { ...plain, tableName: 'tags' })
  const BookTag = sequelize.define('BookTag', {
    bookId: { type: DataTypes.UUID, primaryKey: true, field: 'book_id' },
    tagId: { type: DataTypes.BIGINT, primaryKey: true, field: 'tag_id' },
    weight: INTEGER,
  }, { ...plain, tableName: 'book_tags' })
  const Review = sequelize.define('Review', {
    id: big,
    stars: INTEGER,
    bookId: { type: DataTypes.UUID, field: 'book_id' },
  }, {
    tableName: 'reviews',
    paranoid: true,
    createdAt: false,
    updatedAt: false,
  })
  const Shelf = sequelize.define('Shelf', { code: { type: TEXT, primaryKey: true }, label: TEXT }, {
    ...plain,
    tableName: 'shelves',
  })
  const Slot = sequelize.define('Slot', { id: serial, shelfCode: TEXT }, { ...plain, tableName: 'slots' })
  Author.hasMany(Book, { as: 'books', foreignKey: 'authorId' })
  Book.belongsTo(Author, { as: 'author', foreignKey: 'authorId' })
  Book.belongsToMany(Tag, { as: 'tags', through: BookTag, foreignKey: 'bookId', otherKey: 'tagId' })
  Tag.belongsToMany(Book, { as: 'books', through: BookTag, foreignKey: 'tagId', otherKey: 'bookId' })
  Book.hasMany(Review, { as: 'reviews', foreignKey: 'bookId' })
  Review.belongsTo(Book, { as: 'book', foreignKey: 'bookId' })
  return { Author, Book, Tag, BookTag, Review, Shelf, Slot } as unknown as Models
}

/** Definitions that read the watched tables of an instance. */
export function definitionsOf(sequelize: Sequelize, watched: typeof reads = reads): Definition[] {
  const list = Object.entries(watched).map(([name, each]) => ({
    table: { schema: 'public', name },
    model: undefined,
    ...each,
  }))
  return [{ name: 'all', mappings: {}, hash: '', source: { sequelize, reads: list } } as unknown as Definition]
}

type Row = Record<string, string | null>

/** A change as it stands in the table. */
export interface Recorded {
  table_name: string
  rows: Row[] | null
  columns: string[] | null
}

/** Rows of every table as text. */
export type Snapshot = Map<string, Row[]>

/** A database with the tables, looked at past the instance under test. */
export interface Library {
  readonly outside: Sequelize
  prepare(): Promise<void>
  reset(): Promise<void>
  recorded(): Promise<Recorded[]>
  snapshot(): Promise<Snapshot>
}

/** Opens the library in a database. */
export function openLibrary(outside: Sequelize): Library {
  const select = async <R>(sql: string): Promise<R[]> => (await outside.query(sql))[0] as R[]
  const store = openStore(fromSequelize(outside), 'elastic_umzug')
  return {
    outside,
    async prepare() {
      await applySchema(store)
      await outside.query(tables)
    },
    async reset() {
      await outside.query(`${seed} DELETE FROM elastic_umzug.changes;`)
    },
    recorded: () => select('SELECT table_name, rows, columns FROM elastic_umzug.changes ORDER BY id'),
    async snapshot() {
      const snapshot: Snapshot = new Map()
      for (const name of names) {
        const rows = await select<{ row: Record<string, unknown> }>(`SELECT to_jsonb(t) AS row FROM ${name} t`)
        snapshot.set(name, rows.map(({ row }) => textOf(row)))
      }
      return snapshot
    },
  }
}

function textOf(row: Record<string, unknown>): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)]))
}

/** Images that had to be recorded: of rows that came or went, or whose read columns changed, old and new. */
export function expectedImages(before: Snapshot, after: Snapshot): Map<string, Set<string>> {
  const expected = new Map<string, Set<string>>()
  for (const [name, { columns, capture }] of Object.entries(reads)) {
    const seen = (rows: Row[]) => new Map(rows.map((row) => [JSON.stringify(columns.map((each) => row[each])), row]))
    const [one, two] = [seen(before.get(name)!), seen(after.get(name)!)]
    const changed = [...[...one].filter(([key]) => !two.has(key)), ...[...two].filter(([key]) => !one.has(key))]
    const images = changed.map(([, row]) => imageText(capture, row))
    // A row that joins nothing any more is named by its old image.
    expected.set(name, new Set(images.filter((each) => !each.endsWith('=null'))))
  }
  return expected
}

/** Images that were recorded, by table. */
export function recordedImages(recorded: readonly Recorded[]): Map<string, Set<string>> {
  const images = new Map<string, Set<string>>()
  for (const { table_name, rows } of recorded) {
    const name = table_name.replace(/^public\./, '')
    const known = images.get(name) ?? new Set()
    images.set(name, known)
    for (const row of rows ?? []) known.add(imageText(reads[name]!.capture, row))
  }
  return images
}

function imageText(capture: readonly string[], row: Row): string {
  return capture.map((each) => `${each}=${row[each]}`).join(' ')
}

/** Images of all rows, before and after: nothing else can have been recorded. */
export function allImages(...snapshots: Snapshot[]): Map<string, Set<string>> {
  return new Map(
    Object.entries(reads).map(([name, { capture }]) => [
      name,
      new Set(snapshots.flatMap((each) => each.get(name)!).map((row) => imageText(capture, row))),
    ]),
  )
}

/** An instance with captured models. */
export interface App {
  sequelize: Sequelize
  models: Models
  uninstall(): void
  close(): Promise<void>
}

/** Opens an application's instance. */
export function openApp(databaseUrl: string, options: { pool: number; captured?: boolean; wake?: () => void }): App {
  const sequelize = new Sequelize(databaseUrl, { logging: false, pool: { max: options.pool, acquire: 5_000 } })
  const models = defineModels(sequelize)
  const uninstall = options.captured === false ? () => {} : installCapture({
    sequelize,
    definitions: definitionsOf(sequelize),
    schema: 'elastic_umzug',
    wake: options.wake ?? (() => {}),
  })
  return { sequelize, models, uninstall, close: () => sequelize.close() }
}

/** CLS as an application would turn it on; gives the function that turns it off. */
export function useCls(): () => void {
  const storage = new AsyncLocalStorage<Map<string, unknown>>()
  Sequelize.useCLS({
    run: (work: (context: Map<string, unknown>) => unknown) => {
      const context = new Map(storage.getStore())
      return storage.run(context, () => work(context))
    },
    bind: (work: unknown) => work,
    get: (name: string) => storage.getStore()?.get(name),
    set: (name: string, value: unknown) => void storage.getStore()?.set(name, value),
  } as never)
  return () => void delete (Sequelize as unknown as { _cls?: unknown })._cls
}
