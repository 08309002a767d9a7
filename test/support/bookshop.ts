/**
 * Models with every kind of association, awkward names and keys, and random rows from a seed.
 * @module
 */
import { DataTypes, type Model, type ModelStatic, type Sequelize } from 'sequelize'

/** Any model. */
export type AnyModel = ModelStatic<Model>

/** The models of the shop. */
export interface Bookshop {
  Country: AnyModel
  Author: AnyModel
  Book: AnyModel
  Cover: AnyModel
  Chapter: AnyModel
  Note: AnyModel
  Tag: AnyModel
  BookTag: AnyModel
  Category: AnyModel
}

/** A generator of pseudo-random numbers in [0, 1). */
export type Random = () => number

/** Mulberry32: the same numbers for the same seed. */
export function randomFrom(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6D2B79F5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** A whole number below `end`. */
export function below(random: Random, end: number): number {
  return Math.floor(random() * end)
}

/** One of the elements. */
export function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)]!
}

/** Defines the models and makes their tables. */
export async function openBookshop(sequelize: Sequelize): Promise<Bookshop> {
  await sequelize.query(`CREATE SCHEMA "Lib x"`)
  const plain = { timestamps: false }
  const Country = sequelize.define('Country', {
    name: DataTypes.STRING,
    code: { type: DataTypes.STRING, unique: true },
  }, plain)
  const Author = sequelize.define('Author', {
    id: { type: DataTypes.UUID, primaryKey: true, defaultValue: DataTypes.UUIDV4 },
    name: { type: DataTypes.STRING, field: 'full name' },
    born: DataTypes.DATE,
  }, { paranoid: true, underscored: true, tableName: 'the_authors', schema: `Lib x` })
  const Book = sequelize.define('Book', {
    id: { type: DataTypes.BIGINT, primaryKey: true, field: 'book_id', autoIncrement: true },
    title: { type: DataTypes.STRING, field: `Ti'tle` },
    price: DataTypes.DECIMAL(10, 2),
    published: { type: DataTypes.BOOLEAN, field: 'is_published' },
    meta: DataTypes.JSONB,
  }, { timestamps: false, tableName: `Bo oks`, schema: `Lib x` })
  const Cover = sequelize.define('Cover', { color: DataTypes.STRING }, plain)
  const Chapter = sequelize.define('Chapter', {
    part: { type: DataTypes.STRING, primaryKey: true },
    number: { type: DataTypes.INTEGER, primaryKey: true },
    code: { type: DataTypes.INTEGER, unique: true },
    heading: DataTypes.TEXT,
  }, plain)
  const Note = sequelize.define('Note', { text: DataTypes.TEXT, likes: DataTypes.INTEGER }, { paranoid: true })
  const Tag = sequelize.define(
    'Tag',
    { name: { type: DataTypes.STRING, primaryKey: true }, rank: DataTypes.INTEGER },
    plain,
  )
  const BookTag = sequelize.define('BookTag', { weight: DataTypes.INTEGER }, plain)
  const Category = sequelize.define('Category', { name: DataTypes.STRING }, plain)

  Author.belongsTo(Country, {
    as: 'country',
    foreignKey: { name: 'countryCode', field: 'country_code' },
    targetKey: 'code',
    constraints: false,
  })
  Book.belongsTo(Author, { as: 'author', foreignKey: 'authorId' })
  Book.belongsTo(Author, { as: 'editor', foreignKey: { name: 'editorId', field: 'editor' } })
  Author.hasMany(Book, { as: 'books', foreignKey: 'authorId' })
  Country.hasMany(Author, {
    as: 'authors',
    foreignKey: { name: 'countryCode', field: 'country_code' },
    sourceKey: 'code',
    constraints: false,
  })
  Book.hasOne(Cover, { as: 'cover', foreignKey: 'bookId' })
  Cover.belongsTo(Book, { as: 'book', foreignKey: 'bookId' })
  Book.hasMany(Chapter, { as: 'chapters', foreignKey: { name: 'bookId', field: 'of_book' } })
  Chapter.belongsTo(Book, { as: 'book', foreignKey: { name: 'bookId', field: 'of_book' } })
  Chapter.hasMany(Note, { as: 'notes', foreignKey: 'chapterCode', sourceKey: 'code', constraints: false })
  Note.belongsTo(Author, { as: 'writer', foreignKey: 'writerId' })
  Book.belongsToMany(Tag, { as: 'tags', through: BookTag })
  Tag.belongsToMany(Book, { as: 'books', through: BookTag })
  Tag.belongsTo(Category, { as: 'category', foreignKey: 'categoryId' })
  Category.belongsTo(Category, { as: 'parent', foreignKey: 'parentId' })
  Category.hasMany(Category, { as: 'children', foreignKey: 'parentId' })
  Category.hasMany(Tag, { as: 'tags', foreignKey: 'categoryId' })
  await sequelize.sync()
  return { Country, Author, Book, Cover, Chapter, Note, Tag, BookTag, Category }
}

const words = ['sea', 'Öl', `d'or`, 'a,b', 'c\\d', '"q"', 'new\nline', '', 'null', '{x}', ' pad ', 'NULL', ',', '\\,']

/** Fills the tables with random rows. */
export async function fillBookshop(shop: Bookshop, random: Random, size = 30): Promise<void> {
  const some = <T>(list: readonly T[]): T | null => random() < 0.2 ? null : pick(random, list)
  const ids = (rows: Model[], name = 'id') => rows.map((each) => each.get(name) as string)
  const codes = ['de', 'fr', 'x,y']
  await shop.Country.bulkCreate(codes.map((code) => ({ code, name: pick(random, words) })))
  const authors = await shop.Author.bulkCreate(Array.from({ length: size / 3 }, () => ({
    id: uuidFrom(random),
    name: some(words),
    born: some([new Date(-1e12), new Date(1e12 + 123), new Date(0)]),
    countryCode: some([...codes, 'none']),
    deletedAt: random() < 0.2 ? new Date(5e11) : null,
  })))
  const books = await shop.Book.bulkCreate(Array.from({ length: size }, () => ({
    title: some(words),
    price: some(['1.50', '0', '-7.25']),
    published: some([true, false]),
    meta: some([{ a: 1 }, [1, 'x'], 'text', 0]),
    authorId: some(ids(authors)),
    editorId: some(ids(authors)),
  })))
  for (const book of books) if (random() < 0.6) await shop.Cover.create({ color: some(words), bookId: book.get('id') })
  const chapters = await shop.Chapter.bulkCreate(Array.from({ length: size * 2 }, (_, index) => ({
    part: pick(random, words),
    number: index - size,
    code: index + 100,
    heading: some(words),
    bookId: some(ids(books)),
  })))
  await shop.Note.bulkCreate(Array.from({ length: size * 2 }, () => ({
    text: some(words),
    likes: some([1, 2, 3]),
    chapterCode: some(ids(chapters, 'code')),
    writerId: some(ids(authors)),
    deletedAt: random() < 0.2 ? new Date(5e11) : null,
  })))
  const categories: Model[] = []
  for (let index = 0; index < 8; index++) {
    categories.push(
      await shop.Category.create({ name: pick(random, words), parentId: index === 0 ? null : some(ids(categories)) }),
    )
  }
  const tags = await shop.Tag.bulkCreate(
    words.map((name) => ({ name, rank: below(random, 3), categoryId: some(ids(categories)) })),
  )
  const pairs = new Map(Array.from({ length: size * 2 }, () => {
    const pair = {
      BookId: pick(random, ids(books)),
      TagName: pick(random, ids(tags, 'name')),
      weight: below(random, 4),
    }
    return [`${pair.BookId} ${pair.TagName}`, pair]
  }))
  await shop.BookTag.bulkCreate([...pairs.values()])
}

/** A UUID of the generator. */
export function uuidFrom(random: Random): string {
  const hex = Array.from({ length: 32 }, () => below(random, 16).toString(16)).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
