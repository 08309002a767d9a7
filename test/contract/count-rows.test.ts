import { expect } from 'chai'
import { DataTypes, type Model } from 'sequelize'
import { fromElasticsearch } from '../../adapters/elasticsearch/client.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { countBoth, type VerifyDeps } from '../../src/search/verify.ts'
import type { Version } from '../../src/search/versions.ts'
import { createWorld, type World } from '../support/world.ts'

describe('counting the rows of a source with document()', () => {
  let world: World
  let made = 0
  const source = () =>
    fromModel(world.sequelize.models.Item!, {
      where: { shown: true },
      document(row: Model) {
        made++
        return row.get('id') === 2 ? undefined : row
      },
    })

  before(async () => {
    world = await createWorld()
    const Item = world.sequelize.define('Item', { shown: DataTypes.BOOLEAN }, { timestamps: false })
    await Item.sync()
    await Item.bulkCreate([true, true, true, false].map((shown) => ({ shown })))
  })
  after(() => world.drop())

  async function counted(documents: number): Promise<{ rows: number; made: number }> {
    made = 0
    const index = `${world.prefix}count-${documents}`
    await world.client.indices.create({ index, settings: { number_of_replicas: 0 } })
    for (let id = 1; id <= documents; id++) await world.client.index({ index, id: String(id), document: {} })
    const deps = {
      store: { db: fromSequelize(world.sequelize) },
      search: fromElasticsearch(world.client),
      clock: { now: () => 0, sleep: () => Promise.resolve() },
      drain: () => Promise.resolve(),
    } as unknown as VerifyDeps
    const { rows } = await countBoth(deps, { physical: index } as Version, source())
    return { rows, made }
  }

  it('makes no document, and counts those in scope', async () => {
    made = 0
    expect(await source().countRows!(fromSequelize(world.sequelize))).to.equal(3)
    expect(made).to.equal(0)
  })

  it('makes none either where every row has its document', async () => {
    expect(await counted(3)).to.deep.equal({ rows: 3, made: 0 })
  })

  it('finds that one is missing, with those that are left out not counted', async () => {
    expect((await counted(1)).rows).to.equal(2)
    expect((await counted(2)).rows).to.equal(2)
  })
})
