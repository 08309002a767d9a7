import { expect } from 'chai'
import { DataTypes, type Model, type ModelStatic, Sequelize, Transaction } from 'sequelize'
import { monotonicClock } from '../../adapters/clock.ts'
import { installCapture } from '../../adapters/sequelize/capture.ts'
import { modesOf } from '../../adapters/sequelize/capture/modes.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { installTriggers, removeTriggers } from '../../src/capture/install.ts'
import type { TableNeeds } from '../../src/capture/needs.ts'
import { assertConfig, type Config } from '../../src/config.ts'
import { defineIndex, type Definition } from '../../src/index.ts'
import { watchMs } from '../../src/ports.ts'
import { awaitWritersOf } from '../../src/search/writers.ts'
import { applySchema } from '../../src/store/schema.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { failureOf } from '../support/migrations.ts'
import { createWorld, waitFor, type World } from '../support/world.ts'

type AnyModel = ModelStatic<Model<Record<string, unknown>, Record<string, unknown>>>

interface App {
  sequelize: Sequelize
  Book: AnyModel
  Shelf: AnyModel
  /** Nothing reads it. */
  Note: AnyModel
  definitions: Definition[]
}

const needs: TableNeeds[] = [
  { table: 'public.books', columns: ['id', 'title', 'shelf_id'], capture: ['id', 'shelf_id'], own: true },
]

describe('moving between hooks and triggers', () => {
  let world: World
  let store: Store
  let app: App
  const closes: (() => Promise<unknown>)[] = []

  before(async () => {
    world = await createWorld()
    store = openStore(fromSequelize(world.sequelize), 'elastic_umzug')
    await applySchema(store)
    app = open()
    await world.sequelize.query(`CREATE TABLE shelves (id int PRIMARY KEY);
      CREATE TABLE notes (id serial PRIMARY KEY, text text);
      CREATE TABLE books (id int PRIMARY KEY, title text, notes text, shelf_id int REFERENCES shelves ON DELETE SET NULL)`)
  })
  after(async () => {
    await Promise.all(closes.map((each) => each()))
    await world.drop()
  })

  let uninstalls: (() => void)[] = []
  beforeEach(async () => {
    await removeTriggers(deps(), ['public.books'], () => Promise.resolve())
    await world.sequelize.query(`TRUNCATE books, shelves; INSERT INTO shelves VALUES (1);
      INSERT INTO books SELECT n, 'book', '', 1 FROM generate_series(1, 5) n; TRUNCATE elastic_umzug.changes`)
  })
  afterEach(() => {
    uninstalls.forEach((each) => each())
    uninstalls = []
  })

  const deps = () => ({ store, clock: monotonicClock, onLine: () => {} })
  const install = () => installTriggers(deps(), needs, { replicated: false })
  const remove = (settle = () => awaitWritersOf(deps(), { tables: ['public.books'], name: 'triggers' })) =>
    removeTriggers(deps(), ['public.books'], settle)

  function open(pool?: number): App {
    const sequelize = new Sequelize(world.databaseUrl, { logging: false, ...(pool ? { pool: { max: pool } } : {}) })
    closes.push(() => sequelize.close())
    const options = { timestamps: false, underscored: true }
    const id = { type: DataTypes.INTEGER, primaryKey: true }
    const Shelf = sequelize.define('Shelf', { id }, { ...options, tableName: 'shelves' }) as AnyModel
    const Note = sequelize.define('Note', { text: DataTypes.TEXT }, { ...options, tableName: 'notes' }) as AnyModel
    const attributes = { id, title: DataTypes.TEXT, notes: DataTypes.TEXT }
    const Book = sequelize.define('Book', attributes, { ...options, tableName: 'books' }) as AnyModel
    Book.belongsTo(Shelf, { as: 'shelf', foreignKey: 'shelfId' })
    const source = fromModel(Book, { attributes: ['id', 'title', 'shelfId'] })
    const definitions = [defineIndex({ name: 'books', mappings: {}, source })]
    return { sequelize, Book, Shelf, Note, definitions }
  }

  function start(capture: Config['capture'], { sequelize, definitions }: App = app, wake = () => {}): void {
    const modeOf = modesOf(sequelize, definitions, capture)
    uninstalls.push(installCapture({ sequelize, definitions, modeOf, schema: 'elastic_umzug', wake }))
  }

  const changes = async () =>
    (await world.sequelize.query(`SELECT rows, columns FROM elastic_umzug.changes ORDER BY id`))[0] as {
      rows: { id: string }[] | null
      columns: string[] | null
    }[]
  const rename = (id: number, transaction: Transaction | null = null, { Book }: App = app) =>
    Book.update({ title: 'renamed' }, { where: { id }, transaction })
  const waited = () => new Promise((resolve) => setTimeout(resolve, watchMs))
  const raw = (sql: string) => world.sequelize.query(sql)

  describe('at run time', () => {
    it('hooks record until the triggers are there', async () => {
      start('triggers')
      await rename(1)
      expect(await changes()).to.have.length(1)
    })

    it('triggers record alone once they are there: not one statement more, and the worker is woken', async () => {
      await install()
      let woken = 0
      start('triggers', app, () => woken++)
      await rename(1)
      const sent: string[] = []
      app.sequelize.addHook(
        'afterQuery',
        'spec',
        (_options, query) => void sent.push((query as unknown as { sql: string }).sql),
      )
      try {
        await rename(2)
        await app.Book.create({ id: 6, title: 'six' })
        await app.Book.destroy({ where: { id: 3 } })
        await app.sequelize.transaction(async (transaction) => {
          await rename(4, transaction)
          await rename(5, transaction)
        })
      } finally {
        app.sequelize.removeHook('afterQuery', 'spec')
      }
      const statements = sent.map((each) => each.split(' ', 2).join(' ')).filter((each) => each !== 'SET SESSION')
      expect(statements).to.deep.equal([
        'UPDATE "books"',
        'INSERT INTO',
        'DELETE FROM',
        'START TRANSACTION;',
        'UPDATE "books"',
        'UPDATE "books"',
        'COMMIT;',
      ])
      expect((await changes()).map(({ rows }) => rows!.map(({ id }) => id).join())).to.deep.equal(
        ['1', '2', '6', '3', '4', '5'],
      )
      expect(woken).to.equal(5)
    })

    it('triggers record what foreign keys do to rows of their table', async () => {
      await install()
      start('triggers')
      await app.Shelf.destroy({ where: { id: 1 } })
      expect((await changes()).flatMap(({ rows }) => rows!.map(({ id }) => id)).sort()).to.include.members(
        ['1', '2', '3', '4', '5'],
      )
    })

    it('a process configured for hooks records beside the triggers', async () => {
      await install()
      start('hooks')
      await rename(1)
      expect(await changes()).to.have.length(2)
    })

    const without: Record<string, string> = {
      'switched off': 'ALTER TABLE books DISABLE TRIGGER USER',
      'about to leave': `UPDATE elastic_umzug.captured_tables SET state = 'leaving'`,
      'dropped by hand': `DO $$ DECLARE t text; BEGIN
        FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'books'::regclass AND NOT tgisinternal LOOP
          EXECUTE format('DROP TRIGGER %I ON books', t);
        END LOOP; END $$`,
    }
    for (const [how, sql] of Object.entries(without)) {
      it(`hooks record while the triggers are ${how}`, async () => {
        await install()
        start('triggers')
        await rename(1)
        await raw(sql)
        await waited()
        await raw('TRUNCATE elastic_umzug.changes')
        await rename(2)
        expect((await changes()).length).to.equal(how === 'about to leave' ? 2 : 1)
        await raw('ALTER TABLE books ENABLE TRIGGER USER')
      })
    }
  })

  describe('on the way back', () => {
    it('no write is missed by both', async () => {
      await install()
      start('triggers')
      let writing = true
      let last = 100
      const writer = (async () => {
        while (writing) await app.Book.create({ id: ++last, title: 'new' })
      })()
      await waitFor(() => last > 120)
      await remove()
      const removedAt = last
      await waitFor(() => last > removedAt + 20)
      writing = false
      await writer
      const recorded = new Set((await changes()).flatMap(({ rows }) => rows!.map(({ id }) => Number(id))))
      const missed = Array.from({ length: last - 100 }, (_, at) => at + 101).filter((id) => !recorded.has(id))
      expect(missed).to.deep.equal([])
    })

    for (const how of ['by itself', 'in a transaction']) {
      it(`a write that was left to them and comes when they are gone records the whole table, ${how}`, async () => {
        await install()
        const late = open(1)
        start('triggers', late)
        await rename(1, null, late)
        await waited()
        const transaction = how === 'by itself' ? null : await late.sequelize.transaction()
        // It asks anew, so that the next one does not.
        await late.Note.create({}, { transaction })
        const held = late.sequelize.query('SELECT pg_sleep(2.5)', { transaction })
        const write = rename(2, transaction, late)
        await remove()
        await Promise.all([held, write])
        await transaction?.commit()
        expect((await changes()).at(-1)!.rows).to.equal(null)
      })
    }

    it('a transaction that still sees them when they are gone is recorded by hooks', async () => {
      await install()
      start('triggers')
      await rename(1)
      const isolationLevel = Transaction.ISOLATION_LEVELS.REPEATABLE_READ
      const older = await app.sequelize.transaction({ isolationLevel })
      await app.Shelf.count({ transaction: older })
      await remove()
      await raw('TRUNCATE elastic_umzug.changes')
      await rename(2, older)
      await older.commit()
      expect((await changes()).flatMap(({ rows }) => rows!.map(({ id }) => id))).to.deep.equal(['2'])
    })

    it('whoever writes into a partition or a child itself is waited for', async () => {
      await raw(`CREATE TABLE parts (id int) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF parts DEFAULT;
        CREATE TABLE child () INHERITS (notes)`)
      const lines: string[] = []
      const writers = await Promise.all([app.sequelize.transaction(), app.sequelize.transaction()])
      await app.sequelize.query('INSERT INTO part VALUES (1)', { transaction: writers[0]! })
      await app.sequelize.query('DELETE FROM child', { transaction: writers[1]! })
      const tables = ['public.parts', 'public.notes']
      const done = awaitWritersOf({ ...deps(), onLine: (line) => void lines.push(line) }, { tables, name: 'x' })
      await Promise.race([done, waitFor(() => lines.length > 0)])
      await Promise.all(writers.map((each) => each.commit()))
      await done
      expect(lines).to.deep.equal(['x: waiting for 2 open transactions that wrote to its tables'])
    })

    it('they wait for a delete that waits, and will change their rows then', async () => {
      await install()
      start('triggers')
      await rename(1)
      const holder = await world.sequelize.transaction()
      await world.sequelize.query('SELECT FROM shelves WHERE id = 1 FOR UPDATE', { transaction: holder })
      await raw('TRUNCATE elastic_umzug.changes')
      const destroyed = app.Shelf.destroy({ where: { id: 1 } })
      await waitFor(async () => {
        const sql = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
        return (await raw(sql))[0].length > 0
      })
      let isRemoved = false
      const removed = remove().then(() => isRemoved = true)
      await new Promise((resolve) => setTimeout(resolve, 2_500))
      const wasRemoved = isRemoved
      await holder.commit()
      await Promise.all([destroyed, removed])
      expect(wasRemoved).to.equal(false)
      expect(await changes()).not.to.deep.equal([])
    })
  })

  describe('the config', () => {
    const refusal = (work: () => unknown) => failureOf(Promise.resolve().then(work))
    const mode = (capture: Config['capture'], table: string) => modesOf(app.sequelize, app.definitions, capture)(table)

    it('names models, tables, and the rest', () => {
      expect(mode(undefined, 'public.books')).to.equal('hooks')
      expect(mode(undefined, 'public.others')).to.equal(undefined)
      expect(mode('triggers', 'public.others')).to.equal('triggers')
      expect(mode({ Book: 'triggers' }, 'public.books')).to.equal('triggers')
      expect(mode({ 'public.books': 'triggers', '*': 'hooks' }, 'public.books')).to.equal('triggers')
      expect(mode({ 'public.books': 'triggers', '*': 'hooks' }, 'public.others')).to.equal('hooks')
    })

    it('names what it knows when a name is unknown, or of a table that no definition reads', async () => {
      for (const name of ['Bok', 'Shelf', 'public.shelves', 'books']) {
        const error = await refusal(() => mode({ [name]: 'triggers' }, ''))
        expect(error.code).to.equal('CONFIG_INVALID')
        expect(error.message).to.include(name).and.to.include('known are: Book, public.books')
      }
    })

    it('is refused when it is nothing that is known', async () => {
      const wrong = [{ capture: 'trigger' }, { capture: { Book: 'both' } }, { capture: null }, {
        captureReplicated: 'yes',
      }]
      for (const each of wrong) {
        const error = await refusal(() => assertConfig({ sequelize: app.sequelize, ...each }))
        expect(error).to.include({ code: 'CONFIG_INVALID' })
        expect(error.message).to.include(Object.keys(each)[0])
      }
    })

    it('is refused when it says two things of one table', async () => {
      const both = { Book: 'triggers', 'public.books': 'hooks' } as const
      expect((await refusal(() => mode(both, ''))).code).to.equal('CONFIG_INVALID')
      start('triggers')
      const error = await refusal(() => start('hooks'))
      expect(error).to.include({ code: 'CONFIG_INVALID' })
      expect(error.message).to.include('public.books')
      start({ Book: 'triggers' })
    })
  })
})
