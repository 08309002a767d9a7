import { expect } from 'chai'
import { listTriggers } from '../../src/capture/state.ts'
import { remakeTriggers } from '../../src/capture/remake.ts'
import { type Change, createTriggered, type Triggered } from './triggers.world.ts'

const table = 'public.books'
const of = (id: number, author: number | null = 1) => ({
  id: String(id),
  author: author === null ? null : String(author),
})
const came = (id: number, author: number | null = 1): Change => ({ table, rows: [of(id, author)], columns: null })
const whole: Change = { table, rows: null, columns: null }
const needs = { table, columns: ['title'], capture: ['id', 'author'] }

describe('triggers of trees of tables', function () {
  let db: Triggered
  before(async () => db = await createTriggered())
  after(() => db.world.drop())

  afterEach(async () => {
    await db.sql('DROP TABLE IF EXISTS books CASCADE')
    await db.db.transaction((tx) => remakeTriggers(db.store, tx))
    await db.recorded()
  })

  describe('with partitions', () => {
    beforeEach(async () => {
      await db.sql(
        'CREATE TABLE books (id int PRIMARY KEY, author int, title text, note text) PARTITION BY RANGE (id)',
        'CREATE TABLE books_1 PARTITION OF books FOR VALUES FROM (1) TO (100)',
        'CREATE TABLE books_2 PARTITION OF books FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id)',
        // Its columns stand in another order, and there is a dropped one.
        'CREATE TABLE books_2_1 (gone int, note text, title text, author int, id int NOT NULL)',
        'ALTER TABLE books_2_1 DROP gone',
        'ALTER TABLE books_2 ATTACH PARTITION books_2_1 FOR VALUES FROM (100) TO (200)',
      )
      await db.install(needs)
      await db.sql(`INSERT INTO books VALUES (1, 1, 'a'), (101, 1, 'b')`)
      await db.recorded()
    })

    it('record what is written through the parent, and into a partition', async () => {
      await db.sql(
        'INSERT INTO books VALUES (2, 1), (102, 2)',
        'INSERT INTO books_2_1 (id, author) VALUES (103, 3)',
        `UPDATE books_2 SET note = 'n'`,
        `UPDATE books SET title = 'x' WHERE id IN (1, 101)`,
        'UPDATE books_2_1 SET author = 9 WHERE id = 103',
        'DELETE FROM books_1 WHERE id = 2',
      )
      expect(await db.recorded()).to.deep.equal([
        came(2),
        came(102, 2),
        came(103, 3),
        { table, rows: [of(1)], columns: ['title'] },
        { table, rows: [of(101)], columns: ['title'] },
        { table, rows: [of(103, 3), of(103, 9)], columns: ['author'] },
        came(2),
      ])
    })

    it('record a row that moves from partition to partition', async () => {
      await db.sql('UPDATE books SET id = 150 WHERE id = 1')
      expect(await db.recorded()).to.have.deep.members([came(1), came(150)])
    })

    it('record partitions that are attached and made later', async () => {
      await db.sql(
        'CREATE TABLE books_3 PARTITION OF books FOR VALUES FROM (200) TO (300)',
        'INSERT INTO books_3 VALUES (200, 1)',
        'CREATE TABLE books_4 (LIKE books)',
        'ALTER TABLE books ATTACH PARTITION books_4 FOR VALUES FROM (300) TO (400)',
        'INSERT INTO books_4 VALUES (300, 1)',
        'COPY books_4 (id, author) FROM PROGRAM \'printf "301\\t1\\n"\'',
      )
      expect(await db.recorded()).to.deep.equal([came(200), came(300), came(301)])
      expect((await listTriggers(db.store, db.db))[0]).to.deep.include({ by: 'row', fault: 'outdated' })
      expect(await db.install(needs)).to.deep.equal([table])
      expect(await db.recorded()).to.deep.equal([])
      expect((await listTriggers(db.store, db.db))[0]).to.deep.include({ by: 'row', fault: null })
    })

    it('let the owner of a table, who has no right on our schema, make partitions', async () => {
      const owner = `owner_${process.pid}_${Date.now()}`
      await db.sql(
        `CREATE ROLE ${owner}`,
        `GRANT CREATE ON SCHEMA public TO ${owner}`,
        ...['books', 'books_1', 'books_2', 'books_2_1'].map((each) => `ALTER TABLE ${each} OWNER TO ${owner}`),
      )
      try {
        await db.db.transaction(async (tx) => {
          await tx.query(`SET LOCAL ROLE ${owner}`)
          await tx.query('CREATE TABLE books_5 PARTITION OF books FOR VALUES FROM (400) TO (500)')
          await tx.query('INSERT INTO books VALUES (400, 1)')
        })
        expect(await db.recorded()).to.deep.equal([came(400)])
      } finally {
        await db.sql(`DROP OWNED BY ${owner} CASCADE`, `DROP ROLE ${owner}`)
      }
    })

    it('record a TRUNCATE of the parent and of a partition', async () => {
      await db.sql('TRUNCATE books_2_1')
      expect(await db.recorded()).to.deep.equal([whole])
      await db.sql('TRUNCATE books')
      expect(await db.recorded()).to.deep.include(whole)
    })

    it('let every write pass while columns are renamed, changed and dropped behind our back', async () => {
      const writer = await db.db.connect()
      // A session whose plans are made already.
      await writer.query(`UPDATE books SET title = 'before' WHERE id = 101`)
      await db.recorded()
      await db.sql(`ALTER TABLE books ALTER title TYPE int USING 1`)
      await writer.query('UPDATE books SET title = 2 WHERE id = 101')
      expect(await db.recorded()).to.deep.equal([came(101), came(101)])
      await db.sql('ALTER TABLE books RENAME author TO writer')
      await writer.query('UPDATE books SET writer = 7 WHERE id = 101')
      expect(await db.recorded()).to.deep.equal([came(101), came(101, 7)])
      await db.sql('ALTER TABLE books DROP writer')
      await writer.query('UPDATE books SET title = 3 WHERE id = 101')
      await writer.query('INSERT INTO books VALUES (3)')
      await writer.query('DELETE FROM books WHERE id = 101')
      await writer.close()
      expect((await db.recorded()).flatMap((each) => each.rows)).to.deep.equal(
        ['101', '101', '3', '101'].map((id) => ({ id })),
      )
      await db.install(needs)
      await db.sql('INSERT INTO books VALUES (4)')
      expect(await db.recorded()).to.deep.equal([{ table, rows: [{ id: '4' }], columns: null }])
    })

    it('put back where one was disabled on a partition', async () => {
      await db.sql('ALTER TABLE books_1 DISABLE TRIGGER ALL')
      expect((await listTriggers(db.store, db.db))[0]).to.deep.include({ fault: 'disabled' })
      expect(await db.install(needs)).to.deep.equal([table])
      await db.sql('INSERT INTO books_1 VALUES (9, 1)')
      expect(await db.recorded()).to.deep.equal([whole, came(9)])
    })

    it('record writes through the parent where the partition is what documents show', async () => {
      await db.install({ table: 'public.books_1', columns: ['title'], capture: ['id'] })
      await db.sql(`UPDATE books SET title = 'y' WHERE id = 1`)
      expect((await db.recorded()).map((each) => each.table)).to.have.members([table, 'public.books_1'])
    })
  })

  describe('with children', () => {
    beforeEach(async () => {
      await db.sql(
        'CREATE TABLE books (id int PRIMARY KEY, author int, title text)',
        'CREATE TABLE comics (pages int) INHERITS (books)',
      )
      await db.install(needs)
    })

    it('record what is written through the parent, and into a child', async () => {
      await db.sql(
        'INSERT INTO books VALUES (1, 1)',
        'INSERT INTO comics VALUES (2, 1)',
        `UPDATE books SET title = 'x'`,
        'UPDATE comics SET pages = 3',
        'DELETE FROM books',
      )
      expect(await db.recorded()).to.have.deep.members([
        came(1),
        came(2),
        { table, rows: [of(1)], columns: ['title'] },
        { table, rows: [of(2)], columns: ['title'] },
        came(1),
        came(2),
      ])
      await db.sql('TRUNCATE comics')
      expect(await db.recorded()).to.deep.equal([whole])
    })

    it('record a child that was made later from the next up on', async () => {
      await db.sql('CREATE TABLE maps () INHERITS (books)')
      expect((await listTriggers(db.store, db.db))[0]).to.deep.include({ by: 'row', fault: 'outdated' })
      await db.sql('INSERT INTO maps VALUES (4, 1)')
      await db.install(needs)
      await db.sql('INSERT INTO maps VALUES (5, 1)')
      expect(await db.recorded()).to.deep.equal([whole, came(5)])
    })
  })

  describe('that record replicated rows', () => {
    it('run for the rows of a replication, by row', async () => {
      await db.sql('CREATE TABLE books (id int PRIMARY KEY, author int, title text)')
      await db.install(needs)
      const write = () =>
        db.world.sequelize.query(
          `BEGIN; SET LOCAL session_replication_role = replica; INSERT INTO books VALUES (1, 1); UPDATE books SET title = 'x';
           TRUNCATE books; COMMIT`,
        )
      await write()
      expect(await db.recorded()).to.deep.equal([])
      expect(await db.install(needs, { replicated: true })).to.deep.equal([table])
      await write()
      expect(await db.recorded()).to.deep.equal([came(1), { table, rows: [of(1)], columns: ['title'] }, whole])
      expect((await listTriggers(db.store, db.db))[0]).to.deep.include({ by: 'row', fault: null })
      expect(await db.install(needs, { replicated: true })).to.deep.equal([])
      expect(await db.install(needs)).to.deep.equal([table])
      await write()
      expect(await db.recorded()).to.deep.equal([])
    })

    it('run on partitions to come', async () => {
      await db.sql('CREATE TABLE books (id int PRIMARY KEY, author int, title text) PARTITION BY RANGE (id)')
      await db.install(needs, { replicated: true })
      await db.sql('CREATE TABLE books_1 PARTITION OF books FOR VALUES FROM (1) TO (100)')
      await db.world.sequelize.query(
        'BEGIN; SET LOCAL session_replication_role = replica; INSERT INTO books_1 VALUES (1, 1); COMMIT',
      )
      expect(await db.recorded()).to.deep.equal([came(1)])
    })
  })
})
