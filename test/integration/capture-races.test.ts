import { expect } from 'chai'
import { fileURLToPath } from 'node:url'
import { Transaction } from 'sequelize'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { announce } from '../../src/search/revisions.ts'
import { registerVersion } from '../../src/search/versions.ts'
import { watchMs } from '../../src/ports.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { startCli } from '../support/cli.ts'
import { waitFor } from '../support/wait.ts'
import { createWorld, type World } from '../support/world.ts'
import { type App, book, type Library, openApp, openLibrary } from './capture.world.ts'

describe('capture between sessions', () => {
  let world: World
  let library: Library
  let one: App
  let two: App

  before(async () => {
    world = await createWorld()
    library = openLibrary(world.sequelize)
    await library.prepare()
  })
  after(() => world.drop())
  beforeEach(async () => {
    await library.reset()
    ;[one, two] = [openApp(world.databaseUrl, { pool: 3 }), openApp(world.databaseUrl, { pool: 3 })]
  })
  afterEach(async () => {
    await one.close()
    await two.close()
  })

  const waiting = async (): Promise<boolean> => {
    const sql = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    return (await library.outside.query(sql))[0].length > 0
  }
  const rowsOf = async (table: string) =>
    (await library.recorded()).filter((each) => each.table_name === `public.${table}`).flatMap((each) =>
      each.rows ?? []
    )
  const parentsOf = async (id: string) =>
    new Set((await rowsOf('books')).filter((each) => each.id === id).map((each) => each.author_id))

  // Runs a write while another session holds a row, which it lets go when the write waits and more has happened.
  const during = async (
    held: (t: Transaction) => Promise<unknown>,
    write: () => Promise<unknown>,
    meanwhile = (): Promise<unknown> => Promise.resolve(),
  ): Promise<void> => {
    const t = await one.sequelize.transaction()
    await held(t)
    const written = write()
    await waitFor(waiting)
    await meanwhile()
    await t.commit()
    await written
  }

  for (const how of ['static', 'instance', 'increment']) {
    // The first one moves it past us, so that what is recorded is what the second one knows.
    it(`Cascade: two sessions move one row: the parent between them is recorded, ${how}`, async () => {
      one.uninstall()
      const instance = (await two.models.Book.findByPk(book(1)))!
      await during(
        (transaction) => one.sequelize.query(`UPDATE books SET author_id = 2 WHERE id = '${book(1)}'`, { transaction }),
        () =>
          how === 'static'
            ? two.models.Book.update({ authorId: 3 }, { where: { id: book(1) } })
            : how === 'instance'
            ? instance.update({ authorId: 3 })
            : instance.increment('authorId'),
      )
      expect(await parentsOf(book(1))).to.deep.equal(new Set(['2', '3']))
    })
  }

  it('a row that begins to match while the update waits is recorded when it is changed', async () => {
    await during(
      (transaction) => one.models.Book.update({ title: 'held' }, { where: { id: book(1) }, transaction }),
      () => two.models.Book.update({ pages: 500 }, { where: { title: ['book 1', 'held', 'late'] } }),
      () => library.outside.query(`UPDATE books SET title = 'late' WHERE id = '${book(6)}'`),
    )
    const changed = (await library.snapshot()).get('books')!.filter((each) => each.pages === '500').map((each) =>
      each.id
    )
    const recorded = (await rowsOf('books')).map((each) => each.id)
    expect(changed).to.include(book(1))
    expect(recorded).to.include.members(changed)
  })

  it('a row that begins to match while a delete with cascades waits is left, or recorded', async () => {
    await during(
      (transaction) => one.models.Author.update({ rank: 9 }, { where: { id: 1 }, transaction }),
      () => two.models.Author.destroy({ where: { rank: [0, 9] } }),
      () =>
        library.outside.query(
          `INSERT INTO authors (id, name, rank) VALUES (70, 'late', 9); INSERT INTO books (title, author_id) VALUES ('late', 70)`,
        ),
    )
    const left = (await library.snapshot()).get('authors')!.map((each) => each.id)
    expect(left).to.deep.equal(['70'])
    expect((await rowsOf('authors')).map((each) => each.id)).to.include.members(['1', '2', '3', '4'])
  })

  it('Cascade: a child inserted while its parent waits to be deleted is recorded: cascade, set null, join row', async () => {
    await during(
      async (transaction) => {
        const [made] = await one.models.Book.bulkCreate([{ id: book(9), title: 'late', authorId: 1 }], { transaction })
        await one.models.Review.create({ id: 900, bookId: made!.get('id') as string }, { transaction })
        await one.models.BookTag.create({ bookId: book(9), tagId: 3 }, { transaction })
        await library.outside.query('DELETE FROM elastic_umzug.changes')
      },
      () => two.models.Author.destroy({ where: { id: 1 } }),
    )
    await library.outside.query(
      `DELETE FROM elastic_umzug.changes WHERE id <= (SELECT min(id) + 2 FROM elastic_umzug.changes)`,
    )
    expect((await rowsOf('books')).map((each) => each.id)).to.include(book(9))
    expect(await rowsOf('reviews')).to.deep.include({ id: '900', book_id: book(9) })
    expect(await rowsOf('book_tags')).to.deep.include({ book_id: book(9), tag_id: '3' })
    expect((await library.snapshot()).get('reviews')!.find((each) => each.id === '900')!.book_id).to.equal(null)
  })

  it('upserts of one new key in two sessions: the second records what the first made of it', async () => {
    let firsts = 0
    await during(
      async (transaction) => {
        await one.models.Book.upsert({ id: book(9), title: 'x', authorId: 1 }, { transaction })
        const sql = 'SELECT id FROM elastic_umzug.changes'
        firsts = (await one.sequelize.query(sql, { transaction }))[0].length
      },
      () => two.models.Book.upsert({ id: book(9), title: 'y', authorId: 2 }),
    )
    const seconds = (await library.recorded()).slice(firsts).flatMap((each) => each.rows)
    expect(seconds).to.deep.equal([{ id: book(9), author_id: '1' }, { id: book(9), author_id: '2' }])
  })

  it('writes started together in one transaction all take effect and are all recorded', async () => {
    await one.sequelize.transaction(async (transaction) => {
      const { Book } = one.models
      const where = { id: book(1) }
      await Promise.all([
        Book.update({ authorId: 2 }, { where, transaction }),
        Book.update({ title: 'together' }, { where, transaction }),
        Book.update({ authorId: 3 }, { where, transaction }),
        Book.update({ pages: 77 }, { where, transaction }),
      ])
    })
    const [row] = (await library.snapshot()).get('books')!.filter((each) => each.id === book(1))
    expect([row!.title, row!.pages, row!.author_id]).to.deep.equal(['together', '77', '3'])
    expect([...await parentsOf(book(1))]).to.include.members(['1', '2', '3'])
  })

  describe('what a transaction sees in its snapshot', () => {
    let older: Transaction
    let store: Store

    // After the transaction began, a version that reads two tables more is registered, and one of them gets a key.
    const laterVersion = async () => {
      older = await one.sequelize.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.REPEATABLE_READ })
      await one.models.Tag.count({ transaction: older })
      await library.outside.query(
        `CREATE TABLE labels (id int PRIMARY KEY, tag_id bigint REFERENCES tags ON DELETE CASCADE);
         INSERT INTO labels VALUES (1, 3); CREATE TABLE spares (id int)`,
      )
      store = openStore(fromSequelize(library.outside), 'elastic_umzug')
      const dependencies = [
        { table: 'public.shelves', columns: ['code', 'label'], capture: ['code'] },
        { table: 'public.labels', columns: ['id', 'tag_id'], capture: ['id', 'tag_id'] },
      ].map((each) => ({ ...each, keys: '', allKeys: '', own: true }))
      const version = { prefix: '', name: 'shelves', hash: 'x', definition: {} as never, dependencies, tag: null }
      return await registerVersion(store, version)
    }
    afterEach(async () => {
      await older.rollback()
      await library.outside.query('DROP TABLE labels, spares; DELETE FROM elastic_umzug.index_versions')
    })

    it('is not what others record by', async () => {
      await laterVersion()
      await one.models.Shelf.update({ label: 'unseen' }, { where: { code: 'A' }, transaction: older })
      await one.models.Shelf.update({ label: 'seen' }, { where: { code: 'B' } })
      expect(await rowsOf('shelves')).to.deep.equal([{ code: 'B' }])
    })

    it('of foreign keys is not what others record by', async () => {
      await laterVersion()
      // A table that is not read: what is registered is asked for, the foreign keys are not.
      await one.sequelize.getQueryInterface().bulkInsert('spares', [{ id: 1 }])
      await one.models.Tag.update({ label: 'x' }, { where: { id: 1 }, transaction: older })
      await one.models.Tag.destroy({ where: { id: 3 } })
      expect(await rowsOf('labels')).to.deep.equal([{ id: '1', tag_id: '3' }])
    })

    it('is asked for once a transaction, and foreign keys once where they are the same', async () => {
      await laterVersion()
      const asked: string[] = []
      one.sequelize.addHook('afterQuery', (_, query) => {
        const { sql } = query as unknown as { sql: string }
        for (const each of ['announced_versions', 'confdeltype']) if (sql.includes(each)) asked.push(each)
      })
      const isolationLevel = Transaction.ISOLATION_LEVELS.REPEATABLE_READ
      for (let each = 0; each < 3; each++) {
        await one.sequelize.transaction({ isolationLevel }, async (transaction) => {
          for (const id of [1, 2, 3]) await one.models.Tag.update({ label: `${each}` }, { where: { id }, transaction })
        })
      }
      expect(asked).to.deep.equal(['announced_versions', 'confdeltype', 'announced_versions', 'announced_versions'])
    })

    it('lets it write until the version is announced', async () => {
      const { id } = await laterVersion()
      const write = () =>
        one.models.Shelf.update({ label: 'x' }, { where: { code: 'A' }, transaction: older })
          .then(() => undefined, (error) => error.code)
      expect(await write()).to.equal(undefined)
      await announce(store, id)
      await new Promise((resolve) => setTimeout(resolve, watchMs))
      expect(await write()).to.equal('CAPTURE_STALE')
    })
  })

  it('a lock timeout of the row lock reaches the caller as an error of Sequelize', async () => {
    const t = await one.sequelize.transaction()
    await one.models.Book.update({ title: 'held' }, { where: { id: book(1) }, transaction: t })
    const error = await two.sequelize.transaction(async (transaction) => {
      await two.sequelize.query(`SET LOCAL lock_timeout = '50ms'`, { transaction })
      await two.models.Book.update({ authorId: 3 }, { where: { id: book(1) }, transaction })
    }).then(() => undefined, (error) => error)
    await t.rollback()
    expect(error.name).to.equal('SequelizeDatabaseError')
    expect(error.parent.code).to.equal('55P03')
  })

  it('a process killed at any moment leaves no row without its change', async function () {
    this.timeout(120_000)
    const program = fileURLToPath(new URL('capture.child.ts', import.meta.url))
    let written = 0
    for (const ms of [0, 13, 29, 67]) {
      await library.reset()
      const child = startCli([world.databaseUrl], { program })
      await waitFor(() => child.stdout.includes('writing'))
      await new Promise((resolve) => setTimeout(resolve, ms))
      child.kill('SIGKILL')
      await child.ended
      await waitFor(async () => {
        const sql =
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()`
        return (await library.outside.query(sql))[0].length === 0
      })
      const recorded = new Set((await rowsOf('books')).map((each) => `${each.id} ${each.author_id}`))
      const rows = (await library.snapshot()).get('books')!.filter((each) => !each.id!.startsWith('00000000'))
      expect([...recorded]).to.include.members(rows.map((each) => `${each.id} ${each.author_id}`))
      written += rows.length
    }
    expect(written).to.be.greaterThan(20)
  })
})
