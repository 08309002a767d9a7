import { expect } from 'chai'
import pg from 'pg'
import { DataTypes, Sequelize } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { defineIndex, elasticUmzug } from '../../src/index.ts'
import { createWorld, type World } from '../support/world.ts'

const writes = 50

describe('capture where connections are scarce', () => {
  let world: World
  before(async () => void (world = await createWorld()))
  after(() => world.drop())

  it('writes that wait for a connection ask together what to record: they do not keep it scarce', async () => {
    const questions = { needs: 0, catalog: 0 }
    class Client extends pg.Client {
      override query(...args: unknown[]): never {
        const sql = String((args[0] as { text?: string }).text ?? args[0])
        if (sql.includes('announced_versions')) questions.needs++
        else if (sql.includes('pg_constraint')) questions.catalog++
        return (super.query as (...args: unknown[]) => never).apply(this, args)
      }
    }
    const dialectModule = { types: pg.types, defaults: pg.defaults, Client }
    const sequelize = new Sequelize(world.databaseUrl, { dialectModule, logging: false, pool: { max: 1 } })
    const Note = sequelize.define('Note', { title: DataTypes.TEXT }, { tableName: 'notes', timestamps: false })
    await sequelize.sync()
    const indexes = [
      defineIndex({ name: 'notes', mappings: { properties: { title: { type: 'text' } } }, source: fromModel(Note) }),
    ]
    const search = elasticUmzug({ sequelize, elasticsearch: world.client, prefix: world.prefix, indexes })
    await search.up()
    await search.start()
    await search.stop()
    Object.assign(questions, { needs: 0, catalog: 0 })
    // Longer than any answer is used, and than a write may be on its way without asking again.
    const held = sequelize.query('SELECT pg_sleep(1.6)')
    await Promise.all(Array.from({ length: writes }, (_, n) => Note.create({ title: `note ${n}` })))
    await held
    expect(questions.needs, 'questions of what is recorded').to.be.within(1, 5)
    expect(questions.catalog, 'questions of the catalog').to.be.within(1, 5)
    const [[row]] = await sequelize.query(
      `SELECT sum(jsonb_array_length(rows))::int AS recorded FROM elastic_umzug.changes WHERE table_name = 'public.notes'`,
    ) as unknown as [[{ recorded: number }]]
    expect(row.recorded).to.equal(writes)
    await sequelize.close()
  })
})
