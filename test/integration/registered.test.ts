import { expect } from 'chai'
import { DataTypes, type Model, type ModelStatic, Sequelize, Transaction } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { defineConfig, defineIndex, type ElasticUmzug, elasticUmzug } from '../../src/index.ts'
import { createWorld, waitFor, type World } from '../support/world.ts'

interface Models {
  Book: ModelStatic<Model<Record<string, unknown>, Record<string, unknown>>>
  Publisher: ModelStatic<Model<Record<string, unknown>, Record<string, unknown>>>
}

const settings = { number_of_replicas: 0 }
const mappings = { dynamic: false, properties: {} }

describe('a version that reads more than running code does', () => {
  let world: World
  let oldApp: Sequelize
  let newApp: Sequelize
  let old: ElasticUmzug
  let next: ElasticUmzug
  let books: Models

  beforeEach(async () => {
    world = await createWorld()
    oldApp = new Sequelize(world.databaseUrl, { logging: false })
    newApp = new Sequelize(world.databaseUrl, { logging: false })
    books = define(oldApp)
    const later = define(newApp)
    await oldApp.sync()
    await books.Publisher.bulkCreate([1, 2, 3].map((id) => ({ id, name: `publisher ${id}` })))
    await books.Book.bulkCreate(
      range(200).map((id) => ({ id, title: `book ${id}`, notes: '', publisherId: id % 3 + 1 })),
    )
    old = pluginOf(world, oldApp, fromModel(books.Book, { attributes: ['id', 'title'] }), 1)
    const include = [{ model: later.Publisher, as: 'publisher', attributes: ['name'] }]
    next = pluginOf(world, newApp, fromModel(later.Book, { attributes: ['id', 'title', 'notes'], include }), 2)
    await old.up()
    await old.start()
  })
  afterEach(async () => {
    await old.stop()
    await next.stop()
    await oldApp.close()
    await newApp.close()
    await world.drop()
  })

  it('gets what old code writes to tables and columns that only it reads', async () => {
    let writing = true
    let writes = 0
    const writer = (async () => {
      for (; writing; writes++) {
        await books.Publisher.update({ name: `publisher renamed ${writes}` }, { where: { id: writes % 3 + 1 } })
        await books.Book.update({ notes: `note ${writes}` }, { where: { id: writes % 200 + 1 } })
        await books.Book.update({ publisherId: writes % 2 + 1 }, { where: { id: (writes * 7) % 200 + 1 } })
      }
    })()
    await next.up().finally(() => writing = false)
    await writer
    await next.settled()
    expect(writes).to.be.greaterThan(10)
    expect(await documents(world, `${world.prefix}books-2`)).to.deep.equal(await rows(world))
  })

  it('is populated only after a transaction that wrote before has ended', async () => {
    const lines: string[] = []
    const late = await oldApp.transaction()
    await oldApp.query(`UPDATE publishers SET name = 'seen by nobody' WHERE id = 2`, { transaction: late })
    const done = next.up({ onLine: (line) => lines.push(line) })
    await waitFor(() => lines.some((each) => each.includes('waiting for 1 open transactions')))
    expect(lines.some((each) => each.includes('populating'))).to.equal(false)
    await late.commit()
    await done
    expect(await documents(world, `${world.prefix}books-2`)).to.deep.equal(await rows(world))
  })

  it('refuses writes of a transaction whose snapshot is older than it', async () => {
    const isolationLevel = Transaction.ISOLATION_LEVELS.REPEATABLE_READ
    const older = await oldApp.transaction({ isolationLevel })
    await books.Book.count({ transaction: older })
    await next.up()
    const code = (work: Promise<unknown>) => work.then(() => undefined, (error) => error.code)
    const refused = await code(books.Publisher.update({ name: 'x' }, { where: { id: 1 }, transaction: older }))
    expect(refused).to.equal('CAPTURE_STALE')
    await older.rollback()
    const again = await oldApp.transaction({ isolationLevel })
    expect(await code(books.Publisher.update({ name: 'x' }, { where: { id: 1 }, transaction: again }))).to.equal(
      undefined,
    )
    await again.commit()
    await next.settled()
    expect(await documents(world, `${world.prefix}books-2`)).to.deep.equal(await rows(world))
  })

  for (const how of ['by itself', 'in a transaction']) {
    it(`gets what was planned before it was registered and sent long after, ${how}`, async () => {
      const one = new Sequelize(world.databaseUrl, { logging: false, pool: { max: 1 } })
      const { Publisher, Book } = define(one)
      const app = pluginOf(world, one, fromModel(Book, { attributes: ['id', 'title'] }), 1)
      await app.start()
      try {
        await Publisher.update({ name: 'known to the old code' }, { where: { id: 1 } })
        const transaction = how === 'by itself' ? null : await one.transaction()
        const hold = await world.sequelize.transaction()
        await world.sequelize.query('SELECT pg_advisory_xact_lock(7)', { transaction: hold })
        const held = one.query('SELECT pg_advisory_lock(7)', { transaction })
        const late = Publisher.update({ name: 'late' }, { where: { id: 1 }, transaction })
        await next.up().finally(() => hold.commit())
        await Promise.all([held, late])
        await transaction?.commit()
        await next.settled()
        expect(await documents(world, `${world.prefix}books-2`)).to.deep.equal(await rows(world))
      } finally {
        await app.stop()
        await one.close()
      }
    })
  }

  for (const how of ['by itself', 'in a transaction']) {
    it(`gets what waited for a table while it was built, ${how}`, async () => {
      const lock = await world.sequelize.transaction()
      await world.sequelize.query('LOCK TABLE publishers IN SHARE MODE', { transaction: lock })
      const write = (transaction?: Transaction) =>
        books.Publisher.update({ name: 'late' }, { where: { id: 1 }, transaction: transaction ?? null })
      const late = how === 'by itself' ? write() : oldApp.transaction(write)
      await waitFor(() => isWaiting(world))
      const lines: string[] = []
      const done = next.up({ onLine: (line) => lines.push(line) })
      await waitFor(() => lines.some((each) => each.includes('waiting for 1 open transactions')))
      await lock.commit()
      await late
      await done
      await next.settled()
      expect(await documents(world, `${world.prefix}books-2`)).to.deep.equal(await rows(world))
    })
  }

  it('refuses what waited in a snapshot older than it, whatever becomes of the error', async () => {
    const lock = await world.sequelize.transaction()
    await world.sequelize.query('LOCK TABLE publishers IN SHARE MODE', { transaction: lock })
    const older = await oldApp.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.REPEATABLE_READ })
    const late = books.Publisher.update({ name: 'late' }, { where: { id: 1 }, transaction: older })
      .then(() => undefined, (error) => error.code)
    await waitFor(() => isWaiting(world))
    const lines: string[] = []
    const done = next.up({ onLine: (line) => lines.push(line) })
    await waitFor(() => lines.some((each) => each.includes('waiting for 1 open transactions')))
    await lock.commit()
    expect(await late).to.equal('CAPTURE_STALE')
    await older.commit()
    await done
    expect((await books.Publisher.findByPk(1))!.get('name')).to.equal('publisher 1')
  })

  it('does not make writes fail when a column that it joins by is dropped', async () => {
    await next.up()
    await books.Book.update({ title: 'before' }, { where: { id: 1 } })
    await world.sequelize.query('ALTER TABLE books DROP COLUMN publisher_id')
    await waitFor(() => books.Book.update({ title: 'after' }, { where: { id: 2 } }).then(() => true, () => false))
    await old.settled()
    const found = await documents(world, `${world.prefix}books-1`)
    expect([found[0]!.title, found[1]!.title]).to.deep.equal(['before', 'after'])
  })
})

async function isWaiting({ sequelize }: World): Promise<boolean> {
  const sql = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
  return (await sequelize.query(sql))[0].length > 0
}

function pluginOf(world: World, sequelize: Sequelize, source: ReturnType<typeof fromModel>, revision: number) {
  const { prefix, client: elasticsearch } = world
  const indexes = [defineIndex({ name: 'books', settings, mappings, revision, source })]
  return elasticUmzug(defineConfig({ sequelize, elasticsearch, prefix, indexes, pollMs: 50 }))
}

function define(sequelize: Sequelize): Models {
  const options = { timestamps: false, underscored: true }
  const id = { type: DataTypes.INTEGER, primaryKey: true }
  const Publisher = sequelize.define('Publisher', { id, name: DataTypes.TEXT }, { ...options, tableName: 'publishers' })
  const Book = sequelize.define('Book', { id, title: DataTypes.TEXT, notes: DataTypes.TEXT }, {
    ...options,
    tableName: 'books',
  })
  Book.belongsTo(Publisher, { as: 'publisher', foreignKey: 'publisherId' })
  return { Book, Publisher } as unknown as Models
}

function range(size: number): number[] {
  return Array.from({ length: size }, (_, at) => at + 1)
}

async function documents({ client }: World, index: string): Promise<Record<string, unknown>[]> {
  await client.indices.refresh({ index })
  const { hits } = await client.search<Record<string, unknown>>({ index, size: 1_000 })
  return hits.hits.map((each) => each._source!).sort((a, b) => Number(a.id) - Number(b.id))
}

async function rows({ sequelize }: World): Promise<Record<string, unknown>[]> {
  const [found] = await sequelize.query(
    `SELECT b.id, b.title, b.notes, json_build_object('name', p.name) AS publisher
     FROM books b JOIN publishers p ON p.id = b.publisher_id ORDER BY b.id`,
  )
  return found as Record<string, unknown>[]
}
