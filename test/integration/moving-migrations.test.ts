import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { DataTypes } from 'sequelize'
import { monotonicClock } from '../../adapters/clock.ts'
import { installTriggers } from '../../src/capture/install.ts'
import { listTriggers } from '../../src/capture/state.ts'
import { type App, failureOf, migrationApp } from '../support/migrations.ts'
import { useCls } from './capture.world.ts'

const columns = ['id', 'title', 'extra', 'more']

describe('a migration that renames or drops what triggers record', () => {
  let app: App
  let number = 10

  before(async () => {
    app = await migrationApp({ 'migrations/01-nothing.sql': 'SELECT 1' })
    await app.runner().up()
  })
  after(() => app.drop())

  beforeEach(async () => {
    await app.sequelize.query(`DROP TABLE IF EXISTS books, volumes;
      CREATE TABLE books (id int PRIMARY KEY, title text, extra text, more text);
      INSERT INTO books SELECT n, 'title', 'extra', 'more' FROM generate_series(1, 9) n`)
    const deps = { store: app.store, clock: monotonicClock, onLine: () => {} }
    await installTriggers(deps, [{ table: 'public.books', columns, capture: ['id'], own: true }], { replicated: false })
    await app.sequelize.query('TRUNCATE elastic_umzug.changes')
  })

  const migrate = async (extension: string, text: string) => {
    await app.write(`migrations/${number++}-x.${extension}`, text)
    await app.runner().up()
  }
  const cjs = (body: string) => migrate('cjs', `exports.up = async (queryInterface, Sequelize) => { ${body} }`)
  const faults = async () => (await listTriggers(app.store, app.store.db)).map(({ table, fault }) => ({ table, fault }))
  // In one snapshot: the table and its triggers as whoever comes between two transactions finds them.
  const snapshotOfFaults = async () => {
    const connection = await app.store.db.connect()
    try {
      await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      return (await listTriggers(app.store, connection)).map(({ table, fault }) => ({ table, fault }))
    } finally {
      await connection.close()
    }
  }
  const sound = [{ table: 'public.books', fault: null }]

  // Writes without a pause, by raw SQL and by a model, and looks all the time whether the triggers fit their table.
  async function hammered(work: () => Promise<void>) {
    const Book = app.sequelize.define('Book', {
      id: { type: DataTypes.INTEGER, primaryKey: true },
      title: DataTypes.TEXT,
    }, {
      tableName: 'books',
      timestamps: false,
    })
    let texts = 0
    const seen = { writes: 0, errors: [] as string[], unsound: [] as unknown[] }
    let running = true
    const loop = async (write: () => Promise<unknown>) => {
      while (running) {
        await write().then(() => seen.writes++, (error) => seen.errors.push(String(error)))
      }
    }
    const raw = (id: number) => () =>
      app.store.db.query(`UPDATE books SET title = $1 WHERE id = $2`, [`raw ${texts++}`, id])
    const look = async () => {
      seen.writes--
      seen.unsound.push(...(await snapshotOfFaults()).filter((each) => each.fault !== null))
    }
    const loops = [
      loop(raw(1)),
      loop(raw(2)),
      loop(() => Book.update({ title: `model ${texts++}` }, { where: { id: 3 } })),
      loop(look),
    ]
    await sleep(30)
    await work().finally(async () => {
      await sleep(30)
      running = false
      await Promise.all(loops)
    })
    return seen
  }

  async function expectUnharmed(work: () => Promise<void>): Promise<void> {
    const { writes, errors, unsound } = await hammered(work)
    expect(errors).to.deep.equal([])
    expect(unsound).to.deep.equal([])
    const [row] = await app.rows('SELECT count(*)::int AS changes FROM elastic_umzug.changes')
    expect(writes).to.be.greaterThan(10)
    expect(row!.changes).to.equal(writes)
    expect(await faults()).to.deep.equal(sound)
  }

  const kinds: Record<string, () => Promise<void>> = {
    'by the query interface': () => cjs(`await queryInterface.renameColumn('books', 'extra', 'extras')`),
    'by the query interface of its own instance': () =>
      cjs(`await queryInterface.sequelize.getQueryInterface().removeColumn('books', 'extra')`),
    'in a transaction of its own': () =>
      cjs(`await queryInterface.sequelize.transaction(async (transaction) => {
        await queryInterface.renameColumn('books', 'extra', 'extras', { transaction })
        await queryInterface.removeColumn('books', 'more', { transaction })
        await queryInterface.sequelize.query('SELECT pg_sleep(0.1)', { transaction })
      })`),
    'by a statement': () => cjs(`await queryInterface.sequelize.query('ALTER TABLE books DROP COLUMN extra')`),
    'by a statement with values': () =>
      cjs(`await queryInterface.context.sequelize.query({ query: 'ALTER TABLE books DROP COLUMN extra', values: [] })`),
    'by a block': () =>
      cjs(`await queryInterface.sequelize.query("DO $$ BEGIN ALTER TABLE books RENAME extra TO extras; END $$")`),
    'by SQL': () => migrate('sql', 'ALTER TABLE books DROP COLUMN extra'),
    'by several statements of SQL': () =>
      migrate('sql', `SELECT 1; ALTER TABLE books RENAME extra TO extras; ALTER TABLE books DROP COLUMN more;`),
    'by SQL with a transaction of its own': () =>
      migrate('sql', `-- ż\nBEGIN;\nALTER TABLE books RENAME extra TO extras;\nSELECT pg_sleep(0.1);\nCOMMIT;\n`),
    'from Umzug': () =>
      migrate('cjs', `exports.up = ({ context }) => context.changeColumn('books', 'extra', 'varchar(9)')`),
  }
  for (const [how, work] of Object.entries(kinds)) {
    it(`makes them anew in the same transaction: ${how}`, () => expectUnharmed(work))
  }

  it('makes them anew in the transaction that CLS holds', async () => {
    const turnOff = useCls()
    try {
      await cjs(`await queryInterface.sequelize.transaction(async () => {
        await queryInterface.removeColumn('books', 'extra')
        const [[{ n }]] = await queryInterface.sequelize.query(
          "SELECT count(*)::int AS n FROM pg_proc WHERE proname LIKE 'capture_%' AND prosrc LIKE '%extra%'")
        throw Object.assign(new Error('seen ' + n), { seen: n })
      }).catch((error) => { if (error.seen !== 0) throw error })`)
    } finally {
      turnOff()
    }
    expect(await faults()).to.deep.equal(sound)
    expect(await app.rows(`SELECT FROM pg_proc WHERE proname LIKE 'capture_%' AND prosrc LIKE '%extra%'`)).to.have
      .length(1)
  })

  it('makes them anew when it has ended where nobody could see what it altered', async () => {
    await app.sequelize.query(
      `CREATE OR REPLACE FUNCTION alter_books() RETURNS void LANGUAGE sql AS 'ALTER TABLE books RENAME extra TO extras'`,
    )
    await migrate('sql', 'SELECT alter_books()')
    expect(await faults()).to.deep.equal(sound)
  })

  it('takes both back when it fails', async () => {
    const failed = await failureOf(migrate('sql', 'ALTER TABLE books DROP COLUMN extra; SELECT 1 / 0'))
    expect(failed.code).to.equal('MIGRATION_FAILED')
    expect(await faults()).to.deep.equal(sound)
    await app.write(`migrations/${number - 1}-x.sql`, 'SELECT 1')
    await app.sequelize.query(`UPDATE books SET extra = 'x' WHERE id = 1`)
    const [row] = await app.rows('SELECT columns FROM elastic_umzug.changes')
    expect(row).to.deep.equal({ columns: '{extra}' })
  })

  it('follows a table that is renamed, and lets go of one that is dropped', async () => {
    await cjs(`await queryInterface.renameTable('books', 'volumes')`)
    await app.sequelize.query(`UPDATE volumes SET title = 'x' WHERE id = 1`)
    expect(await app.rows('SELECT table_name FROM elastic_umzug.changes')).to.deep.equal([
      { table_name: 'public.volumes' },
    ])
    expect(await faults()).to.deep.equal([{ table: 'public.volumes', fault: null }])
    await cjs(`await queryInterface.dropTable('volumes')`)
    expect(await faults()).to.deep.equal([])
  })

  it('does not stand in front of the application for what it altered unseen, or not at all', async () => {
    await app.sequelize.query('DROP TABLE IF EXISTS more; ALTER TABLE books DISABLE TRIGGER USER')
    const longest = { ms: 0 }
    const reader = await app.store.db.connect()
    const writer = await app.store.db.connect()
    try {
      await reader.query('BEGIN')
      await reader.query('UPDATE books SET more = more WHERE id = 9')
      let running = true
      const others = (async () => {
        while (running) {
          const from = performance.now()
          await writer.query(`UPDATE books SET title = 'x' WHERE id = 1`)
          longest.ms = Math.max(longest.ms, performance.now() - from)
          await sleep(20)
        }
      })()
      // With a child its triggers have to be others.
      const ended = migrate('sql', 'CREATE TABLE more () INHERITS (books); ALTER TABLE more ADD added int')
      await sleep(2_000)
      running = false
      await reader.query('COMMIT')
      await Promise.all([others, ended])
    } finally {
      await reader.close()
      await writer.close()
    }
    expect(longest.ms).to.be.below(1_000)
    expect(await faults()).to.deep.equal(sound)
    await app.sequelize.query('DROP TABLE more')
  })

  it('leaves statements alone that cannot run in a transaction', async () => {
    await migrate('sql', 'CREATE INDEX CONCURRENTLY books_title ON books (title)')
    await cjs(`await queryInterface.sequelize.query('DROP INDEX CONCURRENTLY books_title')
      await queryInterface.sequelize.query('VACUUM books')`)
  })
})
