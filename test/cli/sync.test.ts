import { AsyncLocalStorage } from 'node:async_hooks'
import { expect } from 'chai'
import { Sequelize, type Transaction } from 'sequelize'
import { type ElasticUmzug, elasticUmzug } from '../../src/index.ts'
import { defineIndexes } from '../fixtures/library/definitions.ts'
import { defineModels, type Models } from '../fixtures/library/models.ts'
import { createLibrary, type Library } from '../support/library.ts'

type Options = { transaction?: Transaction }
type Operation = (models: Models, options: Options) => Promise<unknown>

const author = '00000000-0000-4000-8000-000000000001'
const book = (id: number) => ({ where: { id } })
const first = async ({ Book }: Models, options: Options) => (await Book.findByPk(1, options))!

const operations: Record<string, Operation> = {
  'create': ({ Book }, options) => Book.create({ title: 'made', authorId: author }, options),
  'create with an include': ({ Book, Review }, options) =>
    Book.create({ title: 'made', reviews: [{ stars: 3 }, { stars: 4 }] }, {
      ...options,
      include: [{ model: Review, as: 'reviews' }],
    }),
  'build and save': async ({ Book }, options) => await Book.build({ title: 'built' }).save(options),
  'save': async (models, options) => {
    const found = await first(models, options)
    found.set({ title: 'saved' })
    await found.save(options)
  },
  'update of an instance': async (models, options) =>
    (await first(models, options)).update({ title: 'updated' }, options),
  'an association moved': async (models, options) =>
    (await first(models, options)).update({ authorId: author }, options),
  'out of scope': async (models, options) => (await first(models, options)).update({ published: false }, options),
  'destroy of an instance': async (models, options) => (await first(models, options)).destroy(options),
  'destroy for good': async (models, options) => (await first(models, options)).destroy({ ...options, force: true }),
  'restore of an instance': async ({ Book }, options) =>
    (await Book.findByPk(2, { ...options, paranoid: false }))!.restore(options),
  'upsert of a new row': ({ Book }, options) => Book.upsert({ id: 900, title: 'upserted' }, options),
  'upsert of a row': ({ Book }, options) => Book.upsert({ id: 1, title: 'upserted' }, options),
  'upsert with a composite key': ({ Edition }, options) =>
    Edition.upsert({ bookId: 1, format: 'paper', pages: 7 }, options),
  'bulkCreate': ({ Book }, options) => Book.bulkCreate([{ title: 'b1' }, { title: 'b2', authorId: author }], options),
  'bulkCreate with updateOnDuplicate': ({ Book }, options) =>
    Book.bulkCreate([{ id: 1, title: 'again' }, { id: 901, title: 'new' }], {
      ...options,
      updateOnDuplicate: ['title', 'updatedAt'],
    }),
  'bulkCreate with ignoreDuplicates': ({ Book }, options) =>
    Book.bulkCreate([{ id: 1, title: 'ignored' }, { id: 902, title: 'new' }], { ...options, ignoreDuplicates: true }),
  'bulkCreate with individualHooks': ({ Book }, options) =>
    Book.bulkCreate([{ title: 'one by one' }, { title: 'and two' }], { ...options, individualHooks: true }),
  'static update': ({ Book }, options) =>
    Book.update({ title: 'all at once' }, { ...options, where: { authorId: null } }),
  'static update with individualHooks': ({ Book }, options) =>
    Book.update({ title: 'each' }, { ...options, ...book(1), individualHooks: true }),
  'static update without hooks': ({ Book }, options) =>
    Book.update({ title: 'no hooks' }, { ...options, ...book(1), hooks: false }),
  'static update of an association': ({ Book }, options) =>
    Book.update({ authorId: author }, { ...options, where: { authorId: null } }),
  'static destroy': ({ Book }, options) => Book.destroy({ ...options, where: { id: [3, 4] } }),
  'static destroy for good': ({ Book }, options) => Book.destroy({ ...options, where: { id: [3, 4] }, force: true }),
  'static restore': ({ Book }, options) => Book.restore({ ...options, ...book(2) }),
  'truncate': ({ Edition }, options) => Edition.truncate(options),
  'destroy with truncate': ({ Review }, options) => Review.destroy({ ...options, truncate: true }),
  'increment': ({ Book }, options) => Book.increment('stock', { ...options, ...book(1), by: 3 }),
  'decrement of an instance': async (models, options) => (await first(models, options)).decrement('stock', options),
  'an author renamed': ({ Author }, options) =>
    Author.update({ name: 'renamed' }, { ...options, where: { id: author } }),
  'an author deleted: SET NULL': async ({ Author }, options) =>
    (await Author.findByPk(author, options))!.destroy(options),
  'authors deleted by a static destroy': ({ Author }, options) => Author.destroy({ ...options, where: { id: author } }),
  'a child made': ({ Review }, options) => Review.create({ stars: 1, bookId: 1 }, options),
  'a child moved': ({ Review }, options) => Review.update({ bookId: 3 }, { ...options, where: { bookId: 1 } }),
  'a child destroyed': ({ Review }, options) => Review.destroy({ ...options, where: { bookId: 1 } }),
  'through add': async (models, options) =>
    (await first(models, options)).addTag(3, { ...options, through: { weight: 5 } }),
  'through add with other attributes': async (models, options) =>
    (await first(models, options)).addTag(1, { ...options, through: { weight: 6 } }),
  'through set': async (models, options) => (await first(models, options)).setTags([2, 3], options),
  'through remove': async (models, options) => (await first(models, options)).removeTag(1, options),
  'through from the other side': async ({ Tag }, options) =>
    (await Tag.findByPk(3, options))!.addBooks([1, 3, 4], options),
  'hasMany set': async (models, options) => (await first(models, options)).setReviews([4], options),
  'hasMany add': async (models, options) => (await first(models, options)).addReview(4, options),
  'belongsTo set': async (models, options) => (await first(models, options)).setAuthor(author, options),
  'createX of an association': async (models, options) =>
    (await first(models, options)).createReview({ stars: 5 }, options),
  'a tag renamed': ({ Tag }, options) => Tag.update({ label: 'another' }, { ...options, where: { id: 1 } }),
  'findOrCreate': ({ Book }, options) => Book.findOrCreate({ ...options, where: { title: 'found or made' } }),
  'findCreateFind': ({ Tag }, options) => Tag.findCreateFind({ ...options, where: { label: 'tag found' } }),
  'a nested transaction': async ({ Book }, options) =>
    await Book.sequelize!.transaction(
      { transaction: options.transaction ?? null },
      (transaction) => Book.update({ title: 'nested' }, { ...book(1), transaction }),
    ),
  'a nested transaction rolled back, the outer goes on': async ({ Book }, options) => {
    const nested = Book.sequelize!.transaction({ transaction: options.transaction ?? null }, async (transaction) => {
      await Book.update({ title: 'never' }, { ...book(1), transaction })
      throw new Rollback()
    })
    await nested.catch(ignoreRollback)
    await Book.update({ title: 'outer' }, { ...options, ...book(3) })
  },
  'a changed key': ({ Edition }, options) =>
    Edition.update({ format: 'moved' }, { ...options, where: { bookId: 1, format: 'paper' } }),
}

class Rollback extends Error {}
const ignoreRollback = (error: unknown) => {
  if (!(error instanceof Rollback)) throw error
}

describe('every write of Sequelize', function () {
  this.timeout(60_000)
  let library: Library
  let sequelize: Sequelize
  let models: Models
  let search: ElasticUmzug

  before(async () => {
    library = await createLibrary({}, { ROWS: 6 })
    await library.done(['up'])
    sequelize = new Sequelize(library.databaseUrl, { logging: false, pool: { max: 3 } })
    models = defineModels(sequelize)
    search = elasticUmzug({
      sequelize,
      elasticsearch: library.client,
      indexes: defineIndexes(models, 1),
      prefix: library.prefix,
    })
    await search.start()
  })
  after(async () => {
    await search?.stop()
    await sequelize?.close()
    await library.drop()
  })

  beforeEach(async () => {
    await models.Author.destroy({ where: {} })
    await models.Book.destroy({ where: {}, force: true })
    await models.Review.destroy({ where: {} })
    await models.Tag.destroy({ where: {} })
    await models.Author.bulkCreate([{ id: author, name: 'One', country: 'IS' }, { name: 'Two' }])
    await models.Book.bulkCreate(
      [1, 2, 3, 4].map((id) => ({ id, title: `Book ${id}`, authorId: id > 2 ? author : null })),
    )
    await models.Book.destroy(book(2))
    await models.Tag.bulkCreate([1, 2, 3].map((id) => ({ id, label: `tag ${id}` })))
    await models.BookTag.bulkCreate([{ bookId: 1, tagId: 1, weight: 1 }, { bookId: 3, tagId: 2, weight: 2 }])
    await models.Review.bulkCreate([1, 1, 3, 4].map((bookId, at) => ({ id: at + 1, stars: at, bookId })))
    await models.Edition.bulkCreate([1, 3, 4].map((bookId) => ({ bookId, format: 'paper', pages: bookId })))
    await library.sql(`SELECT setval('books_id_seq', 100), setval('reviews_id_seq', 100), setval('tags_id_seq', 100)`)
    await settledAndEqual()
  })

  const settledAndEqual = async () => {
    await search.settled()
    expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
    expect(await library.differences('editions', { rows: 'editions' })).to.deep.equal([])
  }
  const contents = async () =>
    JSON.stringify(
      await library.sql(`
    SELECT (SELECT json_agg(b ORDER BY b.id) FROM books b) AS b, (SELECT json_agg(a ORDER BY a.id) FROM authors a) AS a,
      (SELECT json_agg(r ORDER BY r.id) FROM reviews r) AS r, (SELECT json_agg(t ORDER BY t.id) FROM tags t) AS t,
      (SELECT json_agg(x ORDER BY x.book_id, x.tag_id) FROM book_tags x) AS x,
      (SELECT json_agg(e ORDER BY e.book_id, e.format) FROM editions e) AS e`),
    )

  for (const [name, operation] of Object.entries(operations)) {
    it(`${name}: visible after settled(), alone and in a transaction; not when rolled back`, async () => {
      const before = await contents()
      await sequelize.transaction(async (transaction) => {
        await operation(models, { transaction })
        throw new Rollback()
      }).catch(ignoreRollback)
      expect(await contents()).to.equal(before)
      await settledAndEqual()
      await sequelize.transaction((transaction) => operation(models, { transaction }))
      expect(await contents(), 'the operation changes something').not.to.equal(before)
      await settledAndEqual()
    })

    it(`${name}: visible after settled() without a transaction`, async () => {
      const before = await contents()
      await operation(models, {})
      expect(await contents(), 'the operation changes something').not.to.equal(before)
      await settledAndEqual()
    })
  }

  it('in a transaction of CLS, committed and rolled back', async () => {
    const storage = new AsyncLocalStorage<Map<string, unknown>>()
    // What Sequelize uses of cls-hooked.
    const namespace = {
      get: (key: string) => storage.getStore()?.get(key),
      set: (key: string, value: unknown) => storage.getStore()?.set(key, value),
      run: (work: (context: unknown) => void) => {
        const context = new Map(storage.getStore())
        return storage.run(context, () => (work(context), context))
      },
      bind: (work: (...args: unknown[]) => unknown) => work,
    }
    Sequelize.useCLS(namespace)
    try {
      await sequelize.transaction(async () => {
        await models.Book.update({ title: 'in CLS' }, book(1))
        await models.Tag.findOrCreate({ where: { label: 'in CLS' } })
      })
      await settledAndEqual()
      await sequelize.transaction(async () => {
        await models.Book.update({ title: 'never' }, book(1))
        throw new Rollback()
      }).catch(ignoreRollback)
      await settledAndEqual()
      expect((await models.Book.findByPk(1))!.title).to.equal('in CLS')
    } finally {
      delete (Sequelize as unknown as { _cls?: unknown })._cls
    }
  })
})
