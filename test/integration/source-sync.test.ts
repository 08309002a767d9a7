import { expect } from 'chai'
import type { Model } from 'sequelize'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel, type FromModelOptions } from '../../adapters/sequelize/index.ts'
import { defineConfig, defineIndex, type ElasticUmzug, elasticUmzug } from '../../src/index.ts'
import { type AnyModel, type Bookshop, fillBookshop, openBookshop, randomFrom } from '../support/bookshop.ts'
import { readAll } from '../support/both-ways.ts'
import { changeSomething } from '../support/random-changes.ts'
import { createWorld, type World } from '../support/world.ts'

describe('random changes through Sequelize', () => {
  let world: World
  let shop: Bookshop
  let search: ElasticUmzug

  before(async () => {
    world = await createWorld()
    shop = await openBookshop(world.sequelize)
    await fillBookshop(shop, randomFrom(5))
  })
  after(async () => {
    await search?.stop()
    await world.drop()
  })

  function sources(): [string, AnyModel, FromModelOptions][] {
    return [
      ['books', shop.Book, {
        include: [{ association: 'author', include: ['country'] }, 'editor', 'cover', {
          association: 'chapters',
          include: ['notes'],
        }, {
          association: 'tags',
          include: [{ association: 'category', include: ['parent'] }],
        }],
      }],
      ['authors', shop.Author, {
        include: [{ association: 'books', include: [{ association: 'tags', where: { rank: 1 } }] }],
      }],
      ['categories', shop.Category, {
        include: ['parent', { association: 'children', include: ['children', 'tags'] }],
        order: [['children', 'name', 'DESC']],
      }],
      ['chapters', shop.Chapter, {
        where: { part: ['x', 'y', 'a,b', 'c\\d', 'sea'] },
        include: [{ association: 'book', required: true, include: ['author'] }],
        document: (row: Model) => ({ whole: row.toJSON() }),
      }],
    ]
  }

  it('reach every document that shows them, by whatever way it is made', async () => {
    const settings = { number_of_replicas: 0 }
    const mappings = { dynamic: false, properties: {} }
    const indexes = sources().map(([name, model, options]) =>
      defineIndex({ name, settings, mappings, source: fromModel(model, options) })
    )
    search = elasticUmzug(defineConfig({
      sequelize: world.sequelize,
      elasticsearch: world.client,
      prefix: world.prefix,
      indexes,
      pollMs: 20,
    }))
    await search.up()
    await search.start()
    const random = randomFrom(21)
    for (let round = 0; round < 6; round++) {
      for (let change = 0; change < 15; change++) await changeSomething(shop, random)
      await search.settled()
      for (const { name, source } of indexes) {
        const { hits } = await world.client.search({ index: search.alias(name), size: 1_000 })
        const found = new Map(hits.hits.map((each) => [each._id!, each._source]))
        const wanted = await readAll(source, fromSequelize(world.sequelize), 100)
        expect([...found.keys()].sort(), `${name}, round ${round}`).to.deep.equal([...wanted.keys()].sort())
        for (const [key, document] of wanted) {
          expect(found.get(key), `${name} ${key}, round ${round}`).to.deep.equal(document)
        }
      }
    }
  })
})
