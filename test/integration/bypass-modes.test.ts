import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type Options as SequelizeOptions, Sequelize } from 'sequelize'
import { installCapture } from '../../adapters/sequelize/capture.ts'
import { mayWrite } from '../../adapters/sequelize/capture/bypass-read.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import type { OnBypass } from '../../src/config.ts'
import { marginMs, watchMs } from '../../src/ports.ts'
import { registerVersion } from '../../src/search/versions.ts'
import { openStore } from '../../src/store/store.ts'
import { startCli } from '../support/cli.ts'
import { createWorld, waitFor, type World } from '../support/world.ts'
import { book, defineModels, definitionsOf, type Library, openLibrary, reads } from './capture.world.ts'

describe('raw statements: what is done about them', () => {
  let world: World
  let library: Library
  const opened: Sequelize[] = []

  before(async () => {
    world = await createWorld()
    library = openLibrary(world.sequelize)
    await library.prepare()
  })
  after(() => world.drop())
  beforeEach(() => library.reset())
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close()
  })

  const open = (onBypass?: OnBypass, watched = reads, options: SequelizeOptions = {}) => {
    const sequelize = new Sequelize(world.databaseUrl, { logging: false, pool: { max: 2 }, ...options })
    opened.push(sequelize)
    const models = defineModels(sequelize)
    const [warnings, wakes]: [string[], number[]] = [[], []]
    installCapture({
      sequelize,
      definitions: definitionsOf(sequelize, watched),
      schema: 'elastic_umzug',
      wake: () => void wakes.push(1),
      onWarning: (line) => void warnings.push(line),
      ...(onBypass && { onBypass }),
    })
    return { sequelize, models, warnings, wakes, run: (sql: string) => sequelize.query(sql) }
  }
  const tables = async () =>
    (await library.recorded()).map(({ table_name, rows }) => `${table_name}${rows ? '' : ' whole'}`)
  const rows = async (table: string) =>
    (await library.recorded()).filter((each) => each.table_name === table).flatMap((each) => each.rows ?? [])

  const isWaiting = async () => {
    const sql = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    return (await library.outside.query(sql))[0].length > 0
  }

  it('capture: what costs a whole table is told once for each table and kind, with the model to move to triggers', async () => {
    const { run, warnings } = open()
    await run(`UPDATE books SET title = 'x' WHERE pages = 1`)
    expect(warnings).to.deep.equal([])
    for (const pages of [1, 2]) {
      await run(`UPDATE books SET author_id = 4 FROM authors a WHERE a.id = author_id AND pages = ${pages}`)
    }
    expect(warnings).to.have.length(1)
    expect(warnings[0]).to.include('UPDATE (public.books)').and.include(`capture: { Book: 'triggers' }`)
    await run(`DO $$ BEGIN UPDATE books SET title = 'x'; END $$`)
    await run(`TRUNCATE reviews`)
    expect(warnings.map((line) => line.slice(0, 8))).to.deep.equal(['A raw UP', 'A raw DO'])
  })

  it('capture: what is written later, under a name, is told', async () => {
    const { run, warnings } = open()
    await run(`PREPARE later AS UPDATE books SET title = 'x'`)
    expect(warnings[0]).to.include('is not recorded')
    expect(await tables()).to.deep.equal([])
  })

  it('capture: statements that end transactions by themselves are recorded after them', async () => {
    const { run, warnings } = open()
    await run(`BEGIN; UPDATE books SET title = 'x' WHERE pages = 1; COMMIT`)
    expect(await tables()).to.deep.equal(['public.books whole'])
    expect(warnings).to.have.length(1)
  })

  it('capture: a statement too long to be read records every table that it names', async () => {
    const { run } = open()
    await run(`INSERT INTO tags (label) VALUES ('${'x'.repeat(1_000_001)}')`)
    expect(await tables()).to.include('public.tags whole').and.not.include('public.authors whole')
  })

  const withoutParser = async (...args: string[]): Promise<string[]> => {
    const program = fileURLToPath(new URL('bypass-unread.child.ts', import.meta.url))
    const { stdout } = await startCli([world.databaseUrl, ...args], { program }).ended
    return JSON.parse(stdout)
  }

  it('capture: where the parser cannot be loaded, every table named is recorded; told once, with the reason', async () => {
    const sql = ['1', '2'].map((pages) => `UPDATE books SET title = 'x' WHERE pages = ${pages}`)
    const told = await withoutParser('capture', ...sql, `BEGIN; DELETE FROM reviews; COMMIT`)
    expect((await library.snapshot()).get('books')!.filter(({ title }) => title === 'x')).to.have.length(2)
    expect(await tables()).to.include.members(['public.books whole', 'public.reviews whole'])
      .and.not.include('public.slots whole')
    expect(told.filter((line) => line.includes('libpg-query cannot be loaded'))).to.have.length(1)
    expect(told[0]).to.include('no such file')
  })

  it('error: where the parser cannot be loaded, what names a table is refused', async () => {
    const told = await withoutParser('error', `UPDATE books SET title = 'x'`, `INSERT INTO shelves VALUES ('D')`)
    expect(told).to.have.length(1)
    expect(told[0]).to.include('CAPTURE_BYPASSED').and.include('libpg-query cannot be loaded')
    expect((await library.snapshot()).get('shelves')).to.have.length(4)
  })

  const most = 100_000
  const many = (added: number) =>
    library.outside.query(
      `INSERT INTO books (title, author_id) SELECT 'many', 1 FROM generate_series(1, ${most + added})`,
    )
  it('of more rows that move than are known one by one, raw or of a static method, the table is recorded; told once', async () => {
    await many(1)
    const { run, models, warnings } = open()
    await run(`UPDATE books SET author_id = 4 WHERE title = 'many'`)
    await models.Book.update({ authorId: 3 }, { where: { authorId: 4 } })
    expect(await tables()).to.deep.equal(['public.books whole', 'public.books whole'])
    expect(warnings).to.have.length(1)
    expect(warnings[0]).to.include('public.books')
    const sql = `SELECT 1 FROM books WHERE title = 'many' AND author_id = 3`
    expect((await library.outside.query(sql))[0]).to.have.length(most + 1)
  })

  it('of more rows than are known one by one that cascades take along, all tables below are recorded', async () => {
    await many(0)
    const { run, warnings } = open()
    await run('DELETE FROM authors WHERE id = 1')
    expect(await tables()).to.deep.equal([
      'public.books whole',
      'public.book_tags whole',
      'public.reviews whole',
      'public.authors',
    ])
    expect(warnings).to.have.length(1)
  })

  it('warn: told once, and left alone', async () => {
    const { run, warnings } = open('warn')
    for (const pages of [1, 2]) await run(`UPDATE books SET title = 'x' WHERE pages = ${pages}`)
    expect(await tables()).to.deep.equal([])
    expect(warnings).to.have.length(1)
    expect((await library.snapshot()).get('books')!.filter((each) => each.title === 'x')).to.have.length(2)
  })

  it('error: refused before anything is written, with what to do; what no document reads passes, and models do', async () => {
    const { run, models } = open('error')
    const before = await library.snapshot()
    const refused = [
      `UPDATE books SET title = 'x'`,
      `INSERT INTO shelves VALUES ('D'); DELETE FROM authors`,
      `DO $$ BEGIN DELETE FROM books; END $$`,
    ]
    for (const sql of refused) {
      const error = await run(sql).then(() => undefined, (error) => error)
      expect(error?.code, sql).to.equal('CAPTURE_BYPASSED')
      expect(error.message).to.include(`'triggers'`)
    }
    expect(await library.snapshot()).to.deep.equal(before)
    await run(`UPDATE authors SET bio = 'x'; INSERT INTO shelves VALUES ('D')`)
    await models.Book.update({ title: 'x' }, { where: { pages: 1 } })
    await models.Author.findOrCreate({ where: { name: 'new' } })
    await models.Author.destroy({ where: { id: 2 } })
    expect(await tables()).to.include.members(['public.books', 'public.authors'])
  })

  it('a table is found by the search path of the connection, by its quoted name, and under a partition', async () => {
    await library.outside.query(
      `CREATE SCHEMA shop; CREATE TABLE shop."Odd ""name" (id int PRIMARY KEY); CREATE TABLE shop.books (id int PRIMARY KEY);
       CREATE TABLE shop.parted (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
       CREATE TABLE shop.parted_1 PARTITION OF shop.parted FOR VALUES IN (1)`,
    )
    const { sequelize, warnings } = open('capture', reads)
    const list = ['Odd "name', 'books', 'parted'].map((name) => {
      const columns = name === 'parted' ? ['id', 'part'] : ['id']
      return { table: { schema: 'shop', name }, model: undefined, columns, capture: columns }
    })
    installCapture({
      sequelize,
      definitions: [{ source: { sequelize, reads: list } }] as never,
      schema: 'elastic_umzug',
      wake: () => {},
    })
    await sequelize.query(`INSERT INTO shop."Odd ""name" VALUES (1); `)
    await sequelize.transaction(async (transaction) => {
      await sequelize.query(`INSERT INTO books (title) VALUES ('x')`, { transaction })
      await sequelize.query('SET LOCAL search_path TO shop', { transaction })
      await sequelize.query('INSERT INTO books VALUES (7)', { transaction })
    })
    await sequelize.query('INSERT INTO shop.parted_1 VALUES (1, 1)')
    await sequelize.query('UPDATE shop.parted_1 SET id = 2 WHERE id = 1')
    expect(await tables()).to.deep.equal([
      'shop.Odd "name',
      'public.books',
      'shop.books',
      'shop.parted',
      'shop.parted',
      'shop.parted',
    ])
    expect(await rows('shop.books')).to.deep.equal([{ id: '7' }])
    expect(await rows('shop.parted')).to.deep.equal([{ id: '1', part: '1' }, { id: '1', part: '1' }, {
      id: '2',
      part: '1',
    }])
    expect(warnings).to.deep.equal([])
  })

  it('the search path that Sequelize puts before each statement counts', async () => {
    const { sequelize } = open('capture', reads, { dialectOptions: { prependSearchPath: true } as never })
    await sequelize.query(`UPDATE tags SET label = 'x' WHERE id = 1`, { searchPath: 'public' } as never)
    expect(await rows('public.tags')).to.deep.equal([{ id: '1' }])
  })

  it('two sessions move one row: the parent between them is recorded', async () => {
    const { sequelize } = open()
    const held = await library.outside.transaction()
    await library.outside.query(`UPDATE books SET author_id = 2 WHERE id = '${book(1)}'`, { transaction: held })
    const written = sequelize.query(`UPDATE books SET author_id = 3 WHERE id = '${book(1)}'`)
    await waitFor(isWaiting)
    await held.commit()
    await written
    expect((await rows('public.books')).map((each) => each.author_id)).to.deep.equal(['2', '3'])
  })

  it('a child inserted while its parent waits to be deleted is recorded', async () => {
    const { sequelize } = open()
    const held = await library.outside.transaction()
    await library.outside.query(`INSERT INTO books (id, author_id) VALUES ('${book(9)}', 1)`, { transaction: held })
    const written = sequelize.query(`DELETE FROM authors WHERE id = 1`)
    await waitFor(isWaiting)
    await held.commit()
    await written
    expect((await rows('public.books')).map((each) => each.id)).to.include(book(9))
  })

  it('a row that begins to match while a delete with cascades waits is left', async () => {
    const { run } = open()
    const held = await library.outside.transaction()
    await library.outside.query('UPDATE authors SET rank = 9 WHERE id = 1', { transaction: held })
    const written = run('DELETE FROM authors WHERE rank IN (0, 9)')
    await waitFor(isWaiting)
    await library.outside.query(
      `INSERT INTO authors (id, name, rank) VALUES (70, 'late', 9); INSERT INTO books (title, author_id) VALUES ('late', 70)`,
    )
    await held.commit()
    await written
    expect((await library.snapshot()).get('authors')!.map((each) => each.id)).to.deep.equal(['70'])
  })

  it('one that arrives late records the tables that are read since', async () => {
    const { run } = open()
    const store = openStore(fromSequelize(library.outside), 'elastic_umzug')
    const dependencies = [
      { table: 'public.shelves', columns: ['code'], capture: ['code'], keys: '', allKeys: '', own: true },
    ]
    const now = performance.now.bind(performance)
    const held = await library.outside.transaction()
    await library.outside.query('LOCK TABLE shelves', { transaction: held })
    const written = run(`INSERT INTO shelves VALUES ('F')`)
    await waitFor(isWaiting)
    await registerVersion(store, {
      prefix: '',
      name: 'shelves',
      hash: 'x',
      definition: {} as never,
      dependencies,
      tag: null,
    })
    performance.now = () => now() + watchMs + marginMs
    try {
      await held.commit()
      await written
    } finally {
      performance.now = now
      await library.outside.query('DELETE FROM elastic_umzug.index_versions')
    }
    expect(await tables()).to.deep.equal(['public.shelves whole'])
  })

  for (
    const sql of [
      `UPDATE books SET title = 'x'`,
      `UPDATE books SET author_id = 3`,
      `DELETE FROM authors`,
      `UPDATE books SET title = 'x'; SELECT 1`,
    ]
  ) {
    it(`one that cannot be recorded is refused as a whole: ${sql}`, async () => {
      const { run } = open()
      await run(`UPDATE tags SET label = 'known' WHERE id = 1`)
      const before = await library.snapshot()
      await library.outside.query('ALTER TABLE elastic_umzug.changes RENAME TO lost')
      const error = await run(sql).then(() => undefined, (error) => error)
      await library.outside.query('ALTER TABLE elastic_umzug.lost RENAME TO changes')
      expect(error?.code).to.equal('SCHEMA_MISSING')
      expect(await library.snapshot()).to.deep.equal(before)
    })
  }

  it('wake the worker: at once, or after the commit', async () => {
    const { sequelize, run, wakes } = open()
    await run(`UPDATE books SET author_id = 3`)
    expect(wakes).to.have.length(1)
    await sequelize.transaction(async (transaction) => {
      await sequelize.query(`UPDATE books SET title = 'x'`, { transaction })
      expect(wakes).to.have.length(1)
    })
    expect(wakes).to.have.length(2)
  })

  it('reads cost nothing: they are not looked at', () => {
    const reads = [
      'SELECT 1',
      '  select "updatedAt" from a;',
      'SELECT 1 FOR UPDATE',
      'START TRANSACTION;',
      'COMMIT',
      'SHOW server_version',
      'WITH a AS (SELECT 1) SELECT created_at, last_update FROM a',
    ]
    expect(reads.filter(mayWrite)).to.deep.equal([])
    const writes = [
      'update a set b = 1',
      'WITH a AS (DELETE FROM b) SELECT 1',
      'SELECT 1; DELETE FROM a',
      '/* x */ INSERT INTO a',
      'TRUNCATE a',
      `DO $$ BEGIN MERGE INTO`,
    ]
    expect(writes.filter((each) => !mayWrite(each))).to.deep.equal([])
  })
})
