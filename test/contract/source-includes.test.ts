import { expect } from 'chai'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel } from '../../adapters/sequelize/index.ts'
import type { Db } from '../../src/ports.ts'
import { type Bookshop, fillBookshop, openBookshop, pick, randomFrom } from '../support/bookshop.ts'
import { readAll, readingOf } from '../support/both-ways.ts'
import { randomOptions } from '../support/random-options.ts'
import { createWorld, type World } from '../support/world.ts'

describe('documents with includes', () => {
  let world: World
  let db: Db
  let shop: Bookshop

  before(async () => {
    world = await createWorld()
    db = fromSequelize(world.sequelize)
    shop = await openBookshop(world.sequelize)
    await fillBookshop(shop, randomFrom(7))
  })
  after(() => world.drop())

  it('are the same by PostgreSQL and by Sequelize under random options', async () => {
    let documents = 0
    const reasons = new Map<string, number>()
    for (let seed = 1; seed <= Number(process.env['SEEDS'] ?? 60); seed++) {
      const random = randomFrom(seed)
      const model = pick(random, [
        shop.Book,
        shop.Book,
        shop.Author,
        shop.Chapter,
        shop.Category,
        shop.Tag,
        shop.Country,
      ])
      const options = randomOptions(random, model, 3)
      const { reason } = await readingOf(db, model, options)
      if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
      const sql = await readAll(fromModel(model, options), db)
      const instances = await readAll(fromModel(model, { ...options, document: (row) => row }), db)
      expect([...sql.keys()], `keys of seed ${seed}`).to.deep.equal([...instances.keys()])
      for (const [key, document] of sql) {
        expect(document, `seed ${seed}, document ${key}`).to.deep.equal(instances.get(key))
      }
      documents += sql.size
    }
    expect([...reasons]).to.deep.equal([])
    expect(documents).to.be.greaterThan(300)
  })
})
