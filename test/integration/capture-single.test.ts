import { expect } from 'chai'
import { DataTypes, type Model, type ModelStatic } from 'sequelize'
import { installCapture } from '../../adapters/sequelize/capture.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { defineIndex } from '../../src/search/definition.ts'
import { recordName } from '../../src/store/record.ts'
import { applySchema } from '../../src/store/schema.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { createWorld, type World } from '../support/world.ts'

const awkward = `it's $1 :a ? \\ {,}`

describe('a write of one row, captured by hooks', () => {
  let world: World
  let store: Store
  let Shelf: ModelStatic<Model>

  before(async () => {
    world = await createWorld()
    store = openStore(fromSequelize(world.sequelize), 'elastic_umzug')
    await applySchema(store)
    Shelf = world.sequelize.define('Shelf', { label: DataTypes.TEXT, [awkward]: DataTypes.TEXT }, { timestamps: false })
    await Shelf.sync()
  })
  after(() => world.drop())

  function capturing(work: () => Promise<void>): Promise<void> {
    const source = fromModel(Shelf, { attributes: ['id', 'label'] })
    const definition = defineIndex({ name: 'shelves', mappings: { properties: {} }, source })
    const stop = installCapture({
      sequelize: world.sequelize,
      definitions: [definition],
      schema: store.schema,
      wake: () => {},
    })
    return work().finally(stop)
  }

  const recorded = () =>
    store.db.query<{ rows: object[]; columns: string[] | null }>(
      `WITH gone AS (DELETE FROM ${store.table.changes} RETURNING *)
       SELECT rows, to_json(columns) AS columns FROM gone ORDER BY id`,
    )

  const life = async () => {
    const shelf = await Shelf.create({ label: 'a', [awkward]: 'b' })
    const id = shelf.get('id')
    expect(shelf.get({ plain: true })).to.deep.equal({ id, label: 'a', [awkward]: 'b' })
    await shelf.update({ label: 'c' })
    expect(shelf.get({ plain: true })).to.deep.equal({ id, label: 'c', [awkward]: 'b' })
    await shelf.destroy()
    expect(shelf.get({ plain: true })).to.deep.equal({ id, label: 'c', [awkward]: 'b' })
    const rows = [{ id: String(id) }]
    expect(await recorded()).to.deep.equal([
      { rows, columns: null },
      { rows, columns: ['label'] },
      { rows, columns: null },
    ])
  }

  it('is recorded once, and the instance shows nothing of it', () => capturing(life))

  it('gives nothing to hooks that see the query', async () => {
    const seen: string[][] = []
    world.sequelize.addHook('afterQuery', 'seen', (options: { instance?: Model }) => {
      if (options.instance) seen.push(Object.keys(options.instance.dataValues))
    })
    await capturing(async () => {
      const shelf = await Shelf.create({ label: 'a' })
      await shelf.update({ label: 'b' })
    }).finally(() => world.sequelize.removeHook('afterQuery', 'seen'))
    expect(seen.flat()).to.have.members(['id', 'label', awkward, 'id', 'label', awkward])
    await recorded()
  })

  it('is recorded where the function is not there, or may not be called', async () => {
    await store.db.query(`DROP FUNCTION ${store.name(recordName)}`)
    await capturing(life)
  })
})
