/**
 * The shapes of documents that a populate is measured with: over the books of `library.ts`, and reviews of them.
 * @module
 */
import type { Client } from '@elastic/elasticsearch'
import { DataTypes, type Sequelize } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { type Config, defineConfig, defineIndex } from '../../src/index.ts'
import { defineLibrary, mappings } from './library.ts'

/** What a document shows: the row, its author too, or its author and its reviews. */
export const shapes = ['flat', 'author', 'reviews'] as const

/** One of the shapes. */
export type Shape = (typeof shapes)[number]

/** Who makes the documents. */
export type Maker = 'postgresql' | 'sequelize'

const reviews = { properties: { id: { type: 'long' }, stars: { type: 'integer' }, comment: { type: 'text' } } }

/** A config with one index, `books`, of a shape. */
export function defineShape(
  { sequelize, client, prefix }: { sequelize: Sequelize; client: Client; prefix: string },
  shape: Shape,
  maker: Maker,
): Config {
  const { Book } = defineLibrary(sequelize, client, prefix)
  const Review = sequelize.define('Review', {
    id: { type: DataTypes.BIGINT, primaryKey: true },
    stars: DataTypes.INTEGER,
    comment: DataTypes.TEXT,
  }, { timestamps: false, tableName: 'reviews', indexes: [{ fields: ['bookId'] }] })
  Book.hasMany(Review, { as: 'reviews', foreignKey: 'bookId' })
  const author = { association: 'author' }
  const shown = { association: 'reviews', attributes: ['id', 'stars', 'comment'] }
  const include = { flat: [], author: [author], reviews: [author, shown] }[shape]
  const source = fromModel(Book, { include, ...(maker === 'sequelize' && { document: (row) => row }) })
  const properties = { ...mappings.properties, reviews }
  const definition = defineIndex({ name: 'books', mappings: { ...mappings, properties }, source, revision: maker })
  return defineConfig({ sequelize, elasticsearch: client, prefix, indexes: [definition] })
}

/** Two reviews of every book. */
export async function fillReviews(on: Parameters<typeof defineShape>[0], rows: number): Promise<void> {
  const { sequelize } = on
  defineShape(on, 'reviews', 'postgresql')
  await sequelize.sync()
  await sequelize.query(
    `INSERT INTO reviews (id, stars, comment, "bookId")
     SELECT i, 1 + i % 5, 'A comment on it, number ' || md5(i::text), 1 + i / 2 FROM generate_series(0, 2 * :rows - 1) i`,
    { replacements: { rows } },
  )
  await sequelize.query('VACUUM ANALYZE reviews')
}
