/**
 * What the benches work on: books of about 1 KB, each with an author in a table of its own.
 * @module
 */
import type { Client } from '@elastic/elasticsearch'
import { DataTypes, type Model, type ModelStatic, type Sequelize } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { type Config, defineConfig, defineIndex } from '../../src/index.ts'

/** A book as the benches use it. */
export interface BookRow extends Model {
  id: number
  edition: number
}

/** The models. */
export interface Library {
  Book: ModelStatic<BookRow>
  config: Config
}

const text = { type: 'text' }
/** Of the books with their author. */
export const mappings = {
  dynamic: 'strict',
  properties: {
    id: { type: 'long' },
    title: text,
    summary: text,
    isbn: { type: 'keyword' },
    pages: { type: 'integer' },
    price: { type: 'double' },
    published: { type: 'date' },
    tags: { type: 'keyword' },
    edition: { type: 'integer' },
    authorId: { type: 'integer' },
    author: { properties: { id: { type: 'integer' }, name: text, country: { type: 'keyword' } } },
  },
}

/** Defines the models on an instance, and the config over them. */
export function defineLibrary(sequelize: Sequelize, client: Client, prefix: string): Library {
  const options = { timestamps: false }
  const Author = sequelize.define('Author', { name: DataTypes.TEXT, country: DataTypes.TEXT }, {
    ...options,
    tableName: 'authors',
  })
  const Book = sequelize.define<BookRow>('Book', {
    id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
    title: DataTypes.TEXT,
    summary: DataTypes.TEXT,
    isbn: DataTypes.TEXT,
    pages: DataTypes.INTEGER,
    price: DataTypes.DOUBLE,
    published: DataTypes.DATE,
    tags: DataTypes.JSONB,
    edition: DataTypes.INTEGER,
  }, { ...options, tableName: 'books' })
  Book.belongsTo(Author, { as: 'author', foreignKey: 'authorId' })
  const source = fromModel(Book, { include: [{ model: Author, as: 'author' }] })
  const indexes = [defineIndex({ name: 'books', mappings, source })]
  return { Book, config: defineConfig({ sequelize, elasticsearch: client, prefix, indexes }) }
}

const words = 'the of and sea ship captain whale harbour night wind letter house garden river mountain winter king road'

/** Creates the tables and fills them, without Sequelize and without capture. */
export async function fillLibrary(sequelize: Sequelize, rows: number): Promise<void> {
  await sequelize.sync()
  const run = (sql: string) => sequelize.query(sql, { replacements: { words, rows } })
  await run(`INSERT INTO authors SELECT i, 'Author ' || md5(i::text), 'C' || i % 50 FROM generate_series(1, 1000) i`)
  await run(
    `WITH corpus AS MATERIALIZED (
       SELECT string_agg(w || substr(md5(n::text || w), 1, 3), ' ') AS text
       FROM generate_series(1, 100) n, unnest(string_to_array(:words, ' ')) w)
     INSERT INTO books (id, title, summary, isbn, pages, price, published, tags, edition, "authorId")
     SELECT i, 'Book ' || substr(corpus.text, i * 7 % 9000 + 1, 40), substr(corpus.text, i * 37 % 9000 + 1, 640),
       '978' || i, i % 900, i % 5000 / 100.0, timestamptz '2000-01-01' + i % 9000 * interval '1 day',
       jsonb_build_array('tag' || i % 30, 'tag' || i % 70), 0, 1 + i % 1000
     FROM corpus, generate_series(1, :rows) i`,
  )
  await run('VACUUM ANALYZE books')
  await run('ANALYZE authors')
}
