import { expect } from 'chai'
import { DataTypes, Sequelize } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/index.ts'
import type { Config } from '../../src/config.ts'
import { defineConfig, defineIndex, elasticUmzug } from '../../src/index.ts'
import { failureOf } from '../support/migrations.ts'
import { createWorld, temporaryApp, type World } from '../support/world.ts'

describe('what up does about triggers', () => {
  let world: World
  let app: Awaited<ReturnType<typeof temporaryApp>>
  const closes: Sequelize[] = []

  before(async () => {
    world = await createWorld()
    app = await temporaryApp({
      'migrations/01-key.sql': 'ALTER TABLE books ADD PRIMARY KEY (id)',
      'migrations/01-key.down.sql': 'ALTER TABLE books DROP CONSTRAINT books_pkey',
    })
    await world.sequelize.query(`CREATE TABLE books (id int, title text, notes text);
      CREATE TABLE pages (id int PRIMARY KEY, title text, notes text)`)
  })
  after(async () => {
    await Promise.all(closes.map((each) => each.close()))
    await app.remove()
    await world.drop()
  })

  function plugin(
    capture: Config['capture'],
    changes: Partial<Config> = {},
    attributes = ['id', 'title'],
    tables = ['books'],
  ) {
    const sequelize = new Sequelize(world.databaseUrl, { logging: false })
    closes.push(sequelize)
    const columns = { id: { type: DataTypes.INTEGER, primaryKey: true }, title: DataTypes.TEXT, notes: DataTypes.TEXT }
    const { prefix, client: elasticsearch } = world
    const settings = { number_of_replicas: 0 }
    const mappings = { properties: Object.fromEntries(attributes.map((each) => [each, { type: 'keyword' }])) }
    const indexes = tables.map((name) => {
      const model = sequelize.define(name, columns, { tableName: name, timestamps: false })
      return defineIndex({ name, settings, mappings, source: fromModel(model, { attributes }) })
    })
    const config = { sequelize, elasticsearch, prefix, indexes, ...(capture ? { capture } : {}), ...changes }
    return elasticUmzug(defineConfig(config), { folder: app.folder })
  }

  const sql = async (text: string) => (await world.sequelize.query(text))[0]
  const captured = () => sql('SELECT table_name AS table, state, columns FROM elastic_umzug.captured_tables')
  const untouched = async () => {
    expect(await sql('SELECT FROM elastic_umzug.index_versions')).to.deep.equal([])
    expect(await captured()).to.deep.equal([])
    expect(await sql('SELECT FROM pg_trigger WHERE NOT tgisinternal')).to.deep.equal([])
  }
  const migrations = { migrations: 'migrations/*' }

  it('is refused before anything is changed where they are not possible', async () => {
    await sql('CREATE VIEW shown AS SELECT * FROM books')
    for (const [table, what] of [['books', 'no primary key'], ['shown', 'it is a view']] as const) {
      const error = await failureOf(plugin('triggers', {}, ['id', 'title'], ['pages', table]).up())
      expect(error).to.include({ code: 'CAPTURE_IMPOSSIBLE' })
      expect(error.message).to.include(`public.${table}`).and.to.include(what)
      await untouched()
    }
  })

  it('follows a migration that makes them possible', async () => {
    await plugin('triggers', migrations).up()
    expect(await captured()).to.deep.equal([{ table: 'public.books', state: 'installed', columns: ['id', 'title'] }])
  })

  it('is nothing of es:create but what its version needs, before that is registered', async () => {
    const wide = plugin('hooks', migrations, ['id', 'title', 'notes'])
    await wide.versions.create()
    expect(await captured()).to.deep.equal([
      { table: 'public.books', state: 'installed', columns: ['id', 'notes', 'title'] },
    ])
  })

  it('is nothing without search, and nothing when migrations are reverted', async () => {
    const wide = plugin('hooks', migrations, ['id', 'title', 'notes'])
    await wide.up({ search: false })
    await wide.down()
    await wide.up({ search: false })
    expect(await captured()).to.have.length(1)
    expect(await sql(`SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal`)).to.have.length(
      1,
    )
  })

  it('takes up again what a killed one began', async () => {
    await sql(`UPDATE elastic_umzug.captured_tables SET state = 'leaving'`)
    await plugin('triggers', migrations, ['id', 'title', 'notes']).up()
    expect(await captured()).to.deep.include.members([
      { table: 'public.books', state: 'installed', columns: ['id', 'notes', 'title'] },
    ])
    await sql(`UPDATE elastic_umzug.captured_tables SET state = 'leaving'`)
    const back = plugin('hooks', migrations, ['id', 'title', 'notes'])
    expect(await back.planUp()).to.include('public.books: triggers would be removed')
    await back.up()
    expect(await captured()).to.deep.equal([])
    expect(await sql('SELECT FROM pg_trigger WHERE NOT tgisinternal')).to.deep.equal([])
  })

  it('leaves those alone that another config has put on a table that this one does not read', async () => {
    await plugin('triggers', migrations, ['id', 'title', 'notes']).up()
    await plugin(undefined, migrations, ['id'], ['pages']).up()
    expect(await captured()).to.have.length(1)
  })

  it('is stopped by a signal while it waits for the writers', async () => {
    const stop = new AbortController()
    const back = plugin('hooks', migrations, ['id', 'title', 'notes'])
    const timer = setInterval(async () => {
      const [row] = await captured() as { state: string }[]
      if (row?.state === 'leaving') stop.abort()
    }, 50)
    const error = await failureOf(back.up({ signal: stop.signal })).finally(() => clearInterval(timer))
    expect(error).to.include({ code: 'STOPPED' })
    expect(await captured()).to.have.length(1)
  })
})
