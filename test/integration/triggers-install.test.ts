import { expect } from 'chai'
import { installTriggers, removeTriggers } from '../../src/capture/install.ts'
import { joinNeeds } from '../../src/capture/needs.ts'
import { reliedSql } from '../../src/capture/relied.ts'
import { mendTriggers, remakeTriggers } from '../../src/capture/remake.ts'
import { listTriggers } from '../../src/capture/state.ts'
import { openStore } from '../../src/store/store.ts'
import { applySchema } from '../../src/store/schema.ts'
import { rejection } from '../support/rejection.ts'
import { waitFor } from '../support/wait.ts'
import { createTriggered, type Triggered } from './triggers.world.ts'

const books = { table: 'public.books', columns: ['title'], capture: ['id', 'author'] }

describe('triggers', function () {
  let db: Triggered
  before(async () => db = await createTriggered())
  after(() => db.world.drop())

  beforeEach(async () => {
    await db.sql(
      'DROP TABLE IF EXISTS books, old_books, volumes CASCADE',
      'CREATE TABLE books (id int PRIMARY KEY, author int, title text, note text)',
    )
    await db.db.transaction((tx) => remakeTriggers(db.store, tx))
    await db.install(books)
    await db.sql(`INSERT INTO books VALUES (1, 1, 'a')`)
    await db.recorded()
    db.lines.length = 0
  })

  const states = async () => (await listTriggers(db.store, db.db)).filter((each) => each.table !== 'public.unrelated')
  const relied = async () => (await db.sql<{ table: string }>(reliedSql(db.store.schema))).map((each) => each.table)
  const image = (id: number, author: number | null = 1) => ({
    id: String(id),
    author: author === null ? null : String(author),
  })

  it('are left alone when they are current, and upgraded when more is needed', async () => {
    expect(await db.install(books)).to.deep.equal([])
    expect(await db.install({ ...books, columns: ['title', 'note'] })).to.deep.equal(['public.books'])
    await db.sql(`UPDATE books SET note = 'x'`)
    expect(await db.recorded()).to.deep.equal([{ table: 'public.books', rows: [image(1)], columns: ['note'] }])
    expect(await states()).to.deep.equal([{ table: 'public.books', state: 'installed', by: 'statement', fault: null }])
    expect(await relied()).to.deep.equal(['public.books'])
  })

  const withVersion = async (work: () => Promise<void>) => {
    await db.sql(
      `INSERT INTO elastic_umzug.indexes (prefix, name) VALUES ('', 'x')`,
      `INSERT INTO elastic_umzug.index_versions (index_id, number, physical, hash, definition, dependencies, state, revision)
       SELECT id, 1, 'x-1', 'h', '{}', '[{"table":"public.books","columns":["note"],"capture":["id"],"own":true}]', 'active', 1
       FROM elastic_umzug.indexes`,
    )
    try {
      await work()
    } finally {
      await db.sql('DELETE FROM elastic_umzug.index_versions', 'DELETE FROM elastic_umzug.indexes')
    }
  }

  it('record what registered versions need as well', () =>
    withVersion(async () => {
      await db.install(books)
      await db.sql(`UPDATE books SET note = 'x'`)
      expect((await db.recorded()).map((each) => each.columns)).to.deep.equal([['note']])
    }))

  it('let every write pass while columns are renamed, changed and dropped behind our back', async () => {
    await db.sql(
      'ALTER TABLE books RENAME author TO writer',
      'INSERT INTO books VALUES (2, 5)',
      'UPDATE books SET writer = 6 WHERE id = 2',
    )
    expect(await db.recorded()).to.deep.equal([
      { table: 'public.books', rows: [image(2, 5)], columns: null },
      { table: 'public.books', rows: [image(2, 5), image(2, 6)], columns: ['author'] },
    ])
    await db.sql(`ALTER TABLE books ALTER title TYPE json USING '{}'`, `UPDATE books SET title = '[]' WHERE id = 1`)
    expect((await db.recorded()).map((each) => each.columns)).to.deep.equal([['title']])
    await db.sql(
      'ALTER TABLE books DROP writer',
      'INSERT INTO books VALUES (3)',
      `UPDATE books SET note = 'x' WHERE id = 3`,
      'DELETE FROM books WHERE id = 3',
    )
    expect(await db.recorded()).to.deep.equal([
      { table: 'public.books', rows: [{ id: '3' }], columns: null },
      { table: 'public.books', rows: [{ id: '3' }], columns: null },
      { table: 'public.books', rows: [{ id: '3' }], columns: null },
      { table: 'public.books', rows: [{ id: '3' }], columns: null },
    ])
    expect((await states())[0]!.fault).to.equal('outdated')
    expect(await db.install(books)).to.deep.equal(['public.books'])
    await db.sql(`UPDATE books SET note = 'y'`)
    expect(await db.recorded()).to.deep.equal([])
  })

  it('are made anew in the transaction of a migration, and rolled back with it', async () => {
    const rename = (fail: boolean) =>
      db.db.transaction(async (tx) => {
        await tx.query('ALTER TABLE books DROP COLUMN author')
        await tx.query('ALTER TABLE books RENAME TO volumes')
        await remakeTriggers(db.store, tx)
        await tx.query('INSERT INTO volumes VALUES (2)')
        if (fail) throw new Error('no')
      })
    await rejection(rename(true))
    expect(await states()).to.deep.equal([{ table: 'public.books', state: 'installed', by: 'statement', fault: null }])
    await rename(false)
    expect(await states()).to.deep.equal([{
      table: 'public.volumes',
      state: 'installed',
      by: 'statement',
      fault: null,
    }])
    expect(await db.recorded()).to.deep.equal([{ table: 'public.volumes', rows: [{ id: '2' }], columns: null }])
  })

  it('move to the table that takes the place of another, which is recorded as a whole', async () => {
    await db.db.transaction(async (tx) => {
      await tx.query('ALTER TABLE books RENAME TO old_books')
      await tx.query('CREATE TABLE books (title text, id int PRIMARY KEY, author int)')
      await remakeTriggers(db.store, tx)
    })
    expect(await db.recorded()).to.deep.equal([{ table: 'public.books', rows: null, columns: null }])
    await db.sql('INSERT INTO old_books VALUES (5)', `INSERT INTO books VALUES ('t', 6, 1)`)
    expect(await db.recorded()).to.deep.equal([{ table: 'public.books', rows: [image(6)], columns: null }])
  })

  const ways: Record<string, string[]> = {
    'after it was renamed': ['ALTER TABLE books RENAME TO old_books', 'ALTER TABLE volumes RENAME TO books'],
    'after it was dropped': ['DROP TABLE books', 'ALTER TABLE volumes RENAME TO books'],
    'and back': [
      'ALTER TABLE books RENAME TO old_books',
      'ALTER TABLE volumes RENAME TO books',
      'ALTER TABLE books RENAME TO volumes',
      'ALTER TABLE old_books RENAME TO books',
    ],
  }
  for (const [how, statements] of Object.entries(ways)) {
    it(`move to the table that takes its place later, ${how}, while a version reads it`, () =>
      withVersion(async () => {
        await db.sql('CREATE TABLE volumes (title text, id int PRIMARY KEY, author int)')
        for (const each of statements) {
          await db.db.transaction(async (tx) => {
            await tx.query(each)
            await remakeTriggers(db.store, tx)
          })
        }
        expect((await db.recorded()).at(-1)).to.deep.equal({ table: 'public.books', rows: null, columns: null })
        await db.sql(`INSERT INTO books (id, author) VALUES (6, 1)`)
        expect(await db.recorded()).to.deep.equal([{ table: 'public.books', rows: [image(6)], columns: null }])
        expect((await states()).find((each) => each.table === 'public.books')).to.deep.include({ fault: null })
      }))
  }

  it('keep no place for a table that is gone when no version reads it any more', async () => {
    await withVersion(async () => {
      await db.sql('DROP TABLE books')
      await mendTriggers(db.deps)
      expect(await states()).to.deep.equal([])
      expect(await relied()).to.deep.equal([])
      expect(await db.sql(`SELECT FROM elastic_umzug.captured_tables WHERE table_name = 'public.books'`)).to.have
        .length(1)
    })
    await mendTriggers(db.deps)
    expect(await db.sql('SELECT FROM elastic_umzug.captured_tables')).to.deep.equal([])
  })

  it('record a table as a whole when another column takes the name of one that is read', async () => {
    await db.db.transaction(async (tx) => {
      await tx.query('ALTER TABLE books DROP title')
      await tx.query('ALTER TABLE books RENAME note TO title')
      await remakeTriggers(db.store, tx)
    })
    expect(await db.recorded()).to.deep.equal([{ table: 'public.books', rows: null, columns: null }])
  })

  it('leave nothing behind of a table that is dropped', async () => {
    await db.db.transaction(async (tx) => {
      await tx.query('DROP TABLE books')
      await remakeTriggers(db.store, tx)
    })
    expect(await states()).to.deep.equal([])
    expect(await db.sql(`SELECT proname FROM pg_proc WHERE proname LIKE 'capture\\_%'`)).to.deep.equal([])
  })

  it('that were dropped or disabled are put back, and the table is recorded as a whole', async () => {
    for (
      const [break_, fault] of [
        ['DROP TRIGGER %T ON books', 'missing'],
        ['ALTER TABLE books DISABLE TRIGGER %T', 'disabled'],
        ['ALTER TABLE books ENABLE REPLICA TRIGGER %T', 'disabled'],
      ] as const
    ) {
      const [trigger] = await db.sql<{ name: string }>(
        `SELECT tgname AS name FROM pg_trigger WHERE tgrelid = 'books'::regclass AND tgname LIKE '%update'`,
      )
      await db.sql(break_.replace('%T', `"${trigger!.name}"`), `UPDATE books SET title = title || 'x'`)
      expect((await states())[0]!.fault).to.equal(fault)
      expect(await relied()).to.deep.equal([])
      await db.recorded()
      expect(await db.install(books)).to.deep.equal(['public.books'])
      expect(await db.recorded()).to.deep.equal([{ table: 'public.books', rows: null, columns: null }])
      expect(await relied()).to.deep.equal(['public.books'])
    }
  })

  it('of an older release are upgraded', async () => {
    await db.sql(
      `DO $$ BEGIN EXECUTE (SELECT replace(pg_get_functiondef(p.oid), 'TRUNCATE', 'TRUNCATED') FROM pg_proc p
         WHERE proname LIKE 'capture\\_%'); END $$`,
    )
    expect((await states())[0]!.fault).to.equal('outdated')
    expect(await db.install(books)).to.deep.equal(['public.books'])
    expect((await states())[0]!.fault).to.equal(null)
  })

  it('are taken away in two phases', async () => {
    await removeTriggers(db.deps, ['public.books', 'public.nothing'], async () => {
      expect(await relied()).to.deep.equal([])
      expect((await states())[0]!.state).to.equal('leaving')
      await db.sql('INSERT INTO books VALUES (2)')
      expect(await db.recorded()).to.have.length(1)
    })
    expect(await states()).to.deep.equal([])
    expect(await db.sql(`SELECT tgname FROM pg_trigger WHERE tgrelid = 'books'::regclass`)).to.deep.equal([])
  })

  it('are taken away from a table that was renamed behind our back', async () => {
    await db.sql('ALTER TABLE books RENAME TO volumes')
    await removeTriggers(db.deps, ['public.books'], () => Promise.resolve())
    expect(await states()).to.deep.equal([])
    expect(await db.sql(`SELECT tgname FROM pg_trigger WHERE tgrelid = 'volumes'::regclass`)).to.deep.equal([])
  })

  it('that are installed again while they leave stay', async () => {
    await removeTriggers(db.deps, ['public.books'], async () => {
      expect(await db.install(books)).to.deep.equal(['public.books'])
    })
    expect(await relied()).to.deep.equal(['public.books'])
    expect(await db.recorded()).to.deep.equal([])
  })

  it('are installed by two at once', async () => {
    await db.sql('CREATE TABLE volumes (id int PRIMARY KEY, title text)')
    const needs = joinNeeds([
      { table: 'public.volumes', columns: ['title'], capture: ['id'], own: true },
      { table: 'public.books', columns: ['title', 'note'], capture: ['id'], own: false },
    ])
    const done = await Promise.all([1, 2, 3].map(() => installTriggers(db.deps, needs, { replicated: false })))
    expect(done.flat().sort()).to.deep.equal(['public.books', 'public.volumes'])
    expect((await states()).map((each) => each.fault)).to.deep.equal([null, null])
  })

  it('of two own schemas stand side by side', async () => {
    const long = 'a_schema_whose_name_is_as_long_as_names_can_be_and_says_it_x'
    const other = openStore(db.db, long)
    await applySchema(other)
    try {
      await installTriggers({ ...db.deps, store: other }, [{ ...books, own: true }], { replicated: false })
      await db.sql('DELETE FROM books')
      expect(await db.recorded()).to.have.length(1)
      expect(await db.sql(`SELECT rows FROM "${long}".changes`)).to.deep.equal([{ rows: [image(1)] }])
    } finally {
      await db.sql(`DROP SCHEMA "${long}" CASCADE`)
    }
  })

  it('wait for writers without standing in their way, and say for whom', async () => {
    const writer = await db.db.connect()
    const [session] = await writer.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    await writer.query('BEGIN')
    await writer.query(`UPDATE books SET note = 'held'`)
    const installed = db.install({ ...books, columns: ['title', 'note'] })
    await waitFor(() => db.lines.length > 0)
    expect(db.lines[0]).to.match(new RegExp(`^public.books: waiting for the sessions with pid ${session!.pid} `))
    const began = performance.now()
    for (let id = 10; id < 15; id++) await db.sql(`INSERT INTO books VALUES (${id})`)
    expect(performance.now() - began).to.be.below(3_000)
    await writer.query('COMMIT')
    await writer.close()
    expect(await installed).to.deep.equal(['public.books'])
  })

  it('stop waiting at a signal', async () => {
    const writer = await db.db.connect()
    await writer.query('BEGIN')
    await writer.query(`UPDATE books SET note = 'held'`)
    const stop = new AbortController()
    const deps = { ...db.deps, signal: stop.signal, onLine: () => stop.abort() }
    const error = await rejection(
      installTriggers(deps, [{ ...books, columns: ['note'], own: true }], { replicated: false }),
    )
    await writer.close()
    expect(error).to.have.property('code', 'STOPPED')
    expect((await states())[0]!.fault).to.equal(null)
  })

  it('of an unfinished installation wait for the writers that wrote without them', async () => {
    // Whoever registers a version right after must find everything recorded that its first read does not contain.
    const writer = await db.db.connect()
    await writer.query('BEGIN')
    await writer.query(`UPDATE books SET note = 'unseen'`)
    let isDone = false
    const installed = db.install({ ...books, columns: ['title', 'note'] }).then(() => isDone = true)
    await waitFor(() => db.lines.length > 0)
    expect(isDone).to.equal(false)
    await writer.query('COMMIT')
    await writer.close()
    await installed
  })

  for (
    const [what, create, own, message] of [
      [
        'a view',
        'CREATE VIEW shown AS SELECT * FROM books',
        false,
        /shown cannot be captured by triggers: it is a view/,
      ],
      [
        'a materialized view',
        'CREATE MATERIALIZED VIEW shown AS SELECT * FROM books',
        false,
        /it is a materialized view/,
      ],
      ['a table of documents without a primary key', 'CREATE TABLE shown (id int)', true, /it has no primary key/],
    ] as const
  ) {
    it(`are refused on ${what}, before anything is changed`, async () => {
      await db.sql(create)
      try {
        const needs = [{ ...books, columns: ['note'], own: true }, {
          table: 'public.shown',
          columns: [],
          capture: ['id'],
          own,
        }]
        const error = await rejection(installTriggers(db.deps, needs, { replicated: false }))
        expect(error).to.have.property('code', 'CAPTURE_IMPOSSIBLE')
        expect(error.message).to.match(message).and.match(/next: .*capture: \{ 'public.shown': 'hooks' \}/)
        expect(await states()).to.have.length(1)
        await db.sql(`UPDATE books SET note = 'x'`)
        expect(await db.recorded()).to.deep.equal([])
      } finally {
        await db.sql(`DROP ${create.split(' ').slice(1, create.includes('MATERIALIZED') ? 3 : 2).join(' ')} shown`)
      }
    })
  }

  it('of a table without primary key record what joins it', async () => {
    await db.sql('CREATE TABLE volumes (book int, shelf int)')
    await db.install({ table: 'public.volumes', columns: [], capture: ['book', 'shelf'] })
    await db.sql('INSERT INTO volumes VALUES (1, 1), (1, 1)', 'UPDATE volumes SET shelf = 2')
    expect((await db.recorded()).map((each) => each.rows)).to.deep.equal([
      [{ book: '1', shelf: '1' }, { book: '1', shelf: '1' }],
      [{ book: '1', shelf: '1' }, { book: '1', shelf: '1' }, { book: '1', shelf: '2' }, { book: '1', shelf: '2' }],
    ])
  })
})
