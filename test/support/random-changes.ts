/**
 * Random changes of the bookshop.
 * @module
 */
import { attributesOf } from '../../adapters/sequelize/tables.ts'
import { type AnyModel, below, type Bookshop, pick, type Random, uuidFrom } from './bookshop.ts'

/** One change through Sequelize: a row inserted, deleted, moved to another key, or one attribute of it changed. */
export async function changeSomething(shop: Bookshop, random: Random): Promise<void> {
  const model = pick(random, Object.values(shop) as AnyModel[])
  const rows = await model.findAll({ paranoid: false, order: [...model.primaryKeyAttributes] })
  const kind = pick(random, ['insert', 'update', 'update', 'update', 'delete', 'key'])
  const row = rows.length > 0 ? pick(random, rows) : undefined
  const values = await randomValues(shop, random, model)
  if (kind === 'insert' || !row) await model.create(values).catch(() => {})
  else if (kind === 'delete') await row.destroy({ force: true })
  else if (kind === 'key') {
    await model.update(values, { where: row.where() as never, paranoid: false }).catch(() => {})
  } else {
    const names = Object.keys(attributesOf(model)).filter((name) => !model.primaryKeyAttributes.includes(name))
    const name = pick(random, names)
    if (name in values) {
      await model.update({ [name]: values[name] }, { where: row.where() as never, paranoid: false }).catch(() => {})
    }
  }
}

async function randomValues(shop: Bookshop, random: Random, model: AnyModel): Promise<Record<string, unknown>> {
  const values: Record<string, unknown> = {}
  for (const [name, { type, references }] of Object.entries(attributesOf(model))) {
    const kind = String((type as { key?: string }).key)
    if (references || name === 'chapterCode' || name === 'countryCode') {
      values[name] = await anotherValue(shop, random, name)
    } else if (name === 'id' && kind === 'UUID') values[name] = uuidFrom(random)
    else if (name === 'id') values[name] = 1_000 + below(random, 1_000_000)
    else if (kind === 'INTEGER') values[name] = below(random, 1_000)
    else if (kind === 'STRING' || kind === 'TEXT') values[name] = pick(random, ['x', 'y', 'a,b', null])
    else if (kind === 'BOOLEAN') values[name] = pick(random, [true, false, null])
    else if (name === 'deletedAt') values[name] = pick(random, [new Date(9e11), null])
  }
  return values
}

async function anotherValue(shop: Bookshop, random: Random, name: string): Promise<unknown> {
  const of: Record<string, [AnyModel, string]> = {
    authorId: [shop.Author, 'id'],
    editorId: [shop.Author, 'id'],
    writerId: [shop.Author, 'id'],
    bookId: [shop.Book, 'id'],
    BookId: [shop.Book, 'id'],
    TagName: [shop.Tag, 'name'],
    categoryId: [shop.Category, 'id'],
    parentId: [shop.Category, 'id'],
    chapterCode: [shop.Chapter, 'code'],
    countryCode: [shop.Country, 'code'],
  }
  const [model, attribute] = of[name]!
  const rows = await model.findAll({ paranoid: false, order: [attribute] })
  return rows.length > 0 && random() < 0.9 ? pick(random, rows).get(attribute) : null
}
