/**
 * What the types of `fromModel` take and refuse: only compiled.
 * @module
 */
import { type CreationOptional, type InferAttributes, type InferCreationAttributes, Model } from 'sequelize'
import { fromModel, type SequelizeSource } from '../../adapters/sequelize/index.ts'
import { defineIndex, fromSources } from '../../src/index.ts'

class Book extends Model<InferAttributes<Book>, InferCreationAttributes<Book>> {
  declare id: CreationOptional<number>
  declare title: string
}

/** Every form that is taken. */
export function taken(): SequelizeSource[] {
  const plain = fromModel(Book)
  const chosen = fromModel(Book, {
    include: ['author', { association: 'tags' }],
    attributes: ['id'],
    where: { title: 'x' },
    order: ['id'],
  })
  const made = fromModel(Book, { document: (book) => ({ title: book.title.toUpperCase() }) })
  const later = fromModel(Book, {
    document: async (book) => await Promise.resolve(book.id > 1 ? { id: book.id } : undefined),
  })
  const named = fromModel(Book, { id: 'title', routing: 'id' })
  const several = fromModel(Book, { id: ['id', 'title'] })
  defineIndex({ name: 'books', mappings: {}, source: plain })
  defineIndex({ name: 'all', mappings: {}, source: fromSources({ plain, chosen }) })
  return [plain, chosen, made, later, named, several]
}

/** What is refused. */
export function refused(): void {
  // @ts-expect-error a source has no limit
  fromModel(Book, { limit: 3 })
  // @ts-expect-error no such attribute on the row
  fromModel(Book, { document: (book) => book.nothing })
  // @ts-expect-error no such attribute
  fromModel(Book, { id: 'isbn' })
  // @ts-expect-error no such attribute
  fromModel(Book, { id: ['id', 'isbn'] })
  // @ts-expect-error no such attribute
  fromModel(Book, { routing: 'tenant' })
  // @ts-expect-error a model is no source
  fromSources({ book: Book })
  // @ts-expect-error not a model
  fromModel({ name: 'Book' })
}
