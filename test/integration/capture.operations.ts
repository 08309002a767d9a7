/**
 * Every way to write through Sequelize.
 * @module
 */
import type { Transaction } from 'sequelize'
import { book, type Models } from './capture.world.ts'

/** Options of one call. */
export type Options = { transaction?: Transaction }
/** One call of the application. */
export type Operation = (models: Models, options: Options) => Promise<unknown>

// deno-lint-ignore no-explicit-any
type Mixins = any

/** Every way to write through Sequelize, by name. */
export const operations: Record<string, Operation> = {
  'create': ({ Book }, o) => Book.create({ title: 'new', authorId: 1 }, o),
  'create with a key of the database': ({ Tag }, o) => Tag.create({ label: 'new' }, o),
  'create without hooks': ({ Tag }, o) => Tag.create({ label: 'new' }, { hooks: false, ...o }),
  'create without returning': ({ Tag }, o) => Tag.create({ label: 'new' }, { returning: false, ...o }),
  'create with included rows': ({ Author, Book, Review, Tag }, o) =>
    Author.create({
      name: 'new',
      books: [{ title: 'one', reviews: [{ stars: 1 }], tags: [{ label: 'x' }] }, { title: 'two' }],
    }, {
      include: [{ model: Book, as: 'books', include: [{ model: Review, as: 'reviews' }, { model: Tag, as: 'tags' }] }],
      ...o,
    }),
  'save of a new instance': ({ Author }, o) => Author.build({ name: 'new' }).save(o),
  'save': async ({ Book }, o) => {
    const found = (await Book.findByPk(book(1), o))!
    return await found.set({ title: 'changed' }).save(o)
  },
  'save that moves to another parent': async ({ Book }, o) =>
    await (await Book.findByPk(book(1), o))!.update({ authorId: 3 }, o),
  'save of what no document reads': async ({ Book }, o) =>
    await (await Book.findByPk(book(1), o))!.update({ notes: 'changed' }, o),
  'save with nothing changed': async ({ Book }, o) => await (await Book.findByPk(book(1), o))!.save(o),
  'destroy': async ({ Tag }, o) => await (await Tag.findByPk(1, o))!.destroy(o),
  'destroy with cascades': async ({ Author }, o) => await (await Author.findByPk(1, o))!.destroy(o),
  'soft destroy': async ({ Review }, o) => await (await Review.findByPk(1, o))!.destroy(o),
  'soft destroy and restore': async ({ Review }, o) => {
    const found = (await Review.findByPk(1, o))!
    await found.destroy(o)
    return await found.restore(o)
  },
  'forced destroy': async ({ Review }, o) => await (await Review.findByPk(1, o))!.destroy({ force: true, ...o }),
  'upsert of a new row': ({ Author }, o) => Author.upsert({ id: 50, name: 'new' }, o),
  'upsert of a known row': ({ Author }, o) => Author.upsert({ id: 1, name: 'changed' }, o),
  'upsert without a key': ({ Author }, o) => Author.upsert({ name: 'author 2', rank: 9 }, o),
  'upsert that moves a row': ({ Book }, o) => Book.upsert({ id: book(1), title: 'changed', authorId: 4 }, o),
  'upsert without returning': ({ Book }, o) =>
    Book.upsert({ id: book(1), title: 'changed', authorId: 4 }, { returning: false, ...o }),
  'bulkCreate': ({ Tag }, o) => Tag.bulkCreate([{ label: 'x' }, { label: 'y' }], o),
  'bulkCreate without returning': ({ Tag }, o) =>
    Tag.bulkCreate([{ label: 'x' }, { label: 'y' }], { returning: false, ...o }),
  'bulkCreate with individual hooks': ({ Tag }, o) =>
    Tag.bulkCreate([{ id: 70, label: 'x' }, { id: 71, label: 'y' }], { individualHooks: true, ...o }),
  'bulkCreate ignoring duplicates': ({ Author }, o) =>
    Author.bulkCreate([{ name: 'author 1' }, { name: 'new' }], { ignoreDuplicates: true, ...o }),
  'bulkCreate updating duplicates': ({ Author }, o) =>
    Author.bulkCreate([{ id: 1, name: 'author 1', rank: 5 }, { id: 60, name: 'new' }], {
      updateOnDuplicate: ['rank'],
      ...o,
    }),
  'bulkCreate that moves duplicates': ({ Book }, o) =>
    Book.bulkCreate([{ id: book(1), authorId: 4 }, { id: book(3), authorId: 4 }, { authorId: 4, title: 'new' }], {
      updateOnDuplicate: ['authorId'],
      ...o,
    }),
  'bulkCreate with included rows': ({ Book, Review, Author }, o) =>
    Book.bulkCreate([{ title: 'x', author: { name: 'new' }, reviews: [{ stars: 2 }] }], {
      include: [{ model: Author, as: 'author' }, { model: Review, as: 'reviews' }],
      ...o,
    }),
  'static update': ({ Book }, o) => Book.update({ title: 'changed' }, { where: { authorId: 1 }, ...o }),
  'static update with returning': ({ Book }, o) =>
    Book.update({ title: 'changed' }, { where: { authorId: 1 }, returning: true, ...o }),
  'static update without hooks': ({ Book }, o) =>
    Book.update({ title: 'changed' }, { where: { authorId: 1 }, hooks: false, ...o }),
  'static update with individual hooks': ({ Book }, o) =>
    Book.update({ title: 'changed' }, { where: { authorId: 1 }, individualHooks: true, ...o }),
  'static update with individual hooks that make rows differ': async ({ Book }, o) => {
    Book.addHook('beforeUpdate', 'differ', (each) => void each.set('title', `of ${each.get('pages')}`))
    try {
      return await Book.update({ title: 'x', authorId: 4 }, { where: { authorId: 1 }, individualHooks: true, ...o })
    } finally {
      Book.removeHook('beforeUpdate', 'differ')
    }
  },
  'static update that moves rows': ({ Book }, o) => Book.update({ authorId: 4 }, { where: { authorId: [1, 2] }, ...o }),
  'static update of what no document reads': ({ Author }, o) => Author.update({ bio: 'changed' }, { where: {}, ...o }),
  'static update of no row': ({ Book }, o) => Book.update({ title: 'changed' }, { where: { title: 'none' }, ...o }),
  'static update with a literal': ({ Author }, o) =>
    Author.update({ rank: Author.sequelize!.literal('rank + 1') as never }, { where: { id: [1, 2] }, ...o }),
  'static update with awkward values': ({ Book }, o) =>
    Book.update({ title: 'a\'$1 :x ? \\ $$ ;RETURNING "id"' }, { where: { title: ['book 1', "'$2"] }, ...o }),
  'static update of a key': ({ Author }, o) => Author.update({ id: 100 }, { where: { id: 1 }, ...o }),
  'static update of a key, value unknown': ({ Shelf }, o) =>
    Shelf.update({ code: Shelf.sequelize!.literal("code || 'x'") as never }, { where: { code: 'C' }, ...o }),
  'static update of a key of an unread table': ({ Shelf }, o) =>
    Shelf.update({ code: 'Z' }, { where: { code: 'B' }, ...o }),
  'static update of a scope': ({ Author }, o) => Author.scope('first').update({ name: 'changed' }, { where: {}, ...o }),
  'static update of a schema': ({ Tag }, o) =>
    Tag.schema('public').update({ label: 'changed' }, { where: { id: 1 }, ...o }),
  'static destroy': ({ Tag }, o) => Tag.destroy({ where: { id: [1, 2] }, ...o }),
  'static destroy with individual hooks': ({ Book }, o) =>
    Book.destroy({ where: { authorId: 1 }, individualHooks: true, ...o }),
  'static destroy with a limit': ({ Author }, o) => Author.destroy({ where: {}, limit: 2, ...o }),
  'static destroy with cascades': ({ Author }, o) =>
    Author.destroy({ where: { name: ['author 1', 'author 2'] }, ...o }),
  'static destroy of an unread table, set default': ({ Shelf }, o) => Shelf.destroy({ where: { code: 'B' }, ...o }),
  'static destroy that sets null': ({ Book }, o) => Book.destroy({ where: { id: book(2) }, ...o }),
  'static soft destroy': ({ Review }, o) => Review.destroy({ where: { stars: [1, 2] }, ...o }),
  'static soft destroy with individual hooks': ({ Review }, o) =>
    Review.destroy({ where: { stars: 1 }, individualHooks: true, ...o }),
  'static soft destroy and restore': async ({ Review }, o) => {
    await Review.destroy({ where: { stars: 1 }, ...o })
    return await Review.restore({ where: { stars: 1 }, ...o })
  },
  'increment': ({ Author }, o) => Author.increment('rank', { by: 2, where: { id: [1, 2] }, ...o } as never),
  'increment of an instance': async ({ Author }, o) => await (await Author.findByPk(1, o))!.increment('rank', o),
  'decrement': ({ Author }, o) => Author.decrement({ rank: 1 } as never, { where: { id: 3 }, ...o } as never),
  'increment that moves a row': ({ Book }, o) =>
    Book.increment('authorId', { by: 2, where: { id: book(1) }, ...o } as never),
  'decrement of an instance': async ({ Author }, o) => await (await Author.findByPk(1, o))!.decrement('rank', o),
  'truncate': ({ BookTag }, o) => BookTag.truncate(o),
  'truncate with cascade': ({ Author }, o) => Author.truncate({ cascade: true, ...o }),
  'static destroy of all by truncate': ({ Slot }, o) => Slot.destroy({ truncate: true, ...o }),
  'belongsToMany add': async ({ Book }, o) => await (await Book.findByPk(book(6), o) as Mixins).addTags([1, 3], o),
  'belongsToMany add of a known link': async ({ Book }, o) =>
    await (await Book.findByPk(book(1), o) as Mixins).addTag('1', { through: { weight: 7 }, ...o }),
  'belongsToMany set': async ({ Book }, o) => await (await Book.findByPk(book(1), o) as Mixins).setTags(['2', '3'], o),
  'belongsToMany remove': async ({ Book }, o) => await (await Book.findByPk(book(1), o) as Mixins).removeTags(['1'], o),
  'belongsToMany create': async ({ Book }, o) =>
    await (await Book.findByPk(book(1), o) as Mixins).createTag({ label: 'new' }, o),
  'hasMany set': async ({ Author }, o) => await (await Author.findByPk(1, o) as Mixins).setBooks([book(3)], o),
  'hasMany add': async ({ Author }, o) => await (await Author.findByPk(1, o) as Mixins).addBook(book(5), o),
  'hasMany remove': async ({ Author }, o) => {
    await (await Author.findByPk(1, o) as Mixins).removeBook(book(1), o)
  },
  'hasMany create': async ({ Author }, o) =>
    await (await Author.findByPk(1, o) as Mixins).createBook({ title: 'new' }, o),
  'belongsTo set': async ({ Book }, o) => await (await Book.findByPk(book(1), o) as Mixins).setAuthor(4, o),
  'findOrCreate of a new row': ({ Author }, o) => Author.findOrCreate({ where: { name: 'new' }, ...o }),
  'findOrCreate of a known row': ({ Author }, o) => Author.findOrCreate({ where: { name: 'author 1' }, ...o }),
  'findCreateFind of a new row': ({ Author }, o) => Author.findCreateFind({ where: { name: 'new' }, ...o }),
  'findCreateFind of a known row': ({ Author }, o) => Author.findCreateFind({ where: { name: 'author 1' }, ...o }),
  'bulkInsert of the query interface': ({ Tag }, o) =>
    Tag.sequelize!.getQueryInterface().bulkInsert('tags', [{ label: 'raw' }], o),
  'bulkUpdate of the query interface': ({ Tag }, o) =>
    Tag.sequelize!.getQueryInterface().bulkUpdate('tags', { label: 'raw' }, { id: 1 }, o),
  'bulkDelete of the query interface': ({ Tag }, o) =>
    Tag.sequelize!.getQueryInterface().bulkDelete('tags', { id: 3 }, o),
}
