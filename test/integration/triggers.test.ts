import { expect } from 'chai'
import { type Change, createTriggered, type Triggered } from './triggers.world.ts'

const table = 'public.books'

/** A way to write, and what is recorded of it. */
interface Case {
  how: string
  sql: string[]
  changes: Change[]
}

const came = (...ids: number[]): Change => ({ table, rows: ids.map((id) => of(id)), columns: null })
const of = (id: number, author: number | null = 1) => ({
  id: String(id),
  author: author === null ? null : String(author),
})
const changed = (columns: string[], ...rows: Record<string, string | null>[]): Change => ({ table, rows, columns })
const whole: Change = { table, rows: null, columns: null }

// Before each case there are the books 1 to 3 of author 1.
const cases: Case[] = [
  { how: 'INSERT of several rows', sql: ['INSERT INTO books VALUES (4, 1), (5, 1)'], changes: [came(4, 5)] },
  { how: 'INSERT of nothing', sql: ['INSERT INTO books SELECT 4, 1 WHERE false'], changes: [] },
  {
    how: 'INSERT ON CONFLICT DO NOTHING',
    sql: ['INSERT INTO books VALUES (1, 1) ON CONFLICT DO NOTHING'],
    changes: [],
  },
  {
    how: 'INSERT ON CONFLICT DO UPDATE',
    sql: [
      `INSERT INTO books (id, author, title) VALUES (1, 1, 'new'), (4, 1, 'new') ON CONFLICT (id) DO UPDATE SET title = excluded.title`,
    ],
    changes: [changed(['title'], of(1)), came(4)],
  },
  {
    how: 'UPDATE of a column that is read',
    sql: [`UPDATE books SET title = 'x' WHERE id < 3`],
    changes: [changed(['title'], of(1), of(2))],
  },
  { how: 'UPDATE to the same value', sql: [`UPDATE books SET title = title`], changes: [] },
  { how: 'UPDATE of a column that nobody reads', sql: [`UPDATE books SET note = 'x'`], changes: [] },
  {
    how: 'UPDATE that changes some of its rows',
    sql: [`UPDATE books SET title = 't1'`],
    changes: [changed(['title'], of(2), of(3))],
  },
  {
    how: 'UPDATE of a value that prints differently and is equal',
    sql: ['UPDATE books SET price = 1.00 WHERE id = 1'],
    changes: [changed(['price'], of(1))],
  },
  {
    how: 'UPDATE of a type without equality',
    sql: [`UPDATE books SET place = '(1,2)', data = '{"a":1}' WHERE id = 1`],
    changes: [changed(['data', 'place'], of(1))],
  },
  {
    how: 'UPDATE of a value that stands outside of its row',
    sql: [`UPDATE books SET body = body || 'y' WHERE id = 1`, `UPDATE books SET note = 'z' WHERE id = 1`],
    changes: [changed(['body'], of(1))],
  },
  {
    how: 'UPDATE that moves a row to another parent',
    sql: ['UPDATE books SET author = 2 WHERE id = 1'],
    changes: [changed(['author'], of(1, 1), of(1, 2))],
  },
  {
    how: 'UPDATE of different columns in one statement',
    sql: [
      `UPDATE books SET author = CASE id WHEN 1 THEN 2 ELSE author END, title = CASE id WHEN 2 THEN 'x' ELSE title END`,
    ],
    changes: [changed(['author', 'title'], of(1, 1), of(1, 2), of(2))],
  },
  {
    how: 'UPDATE of the key',
    sql: ['UPDATE books SET id = id + 10 WHERE id = 3'],
    changes: [changed(['id'], of(13), of(3))],
  },
  {
    how: 'UPDATE that hands keys on from row to row',
    sql: ['UPDATE books SET id = id - 1'],
    changes: [changed(['author', 'body', 'id', 'price', 'title'], ...[0, 1, 2, 3].map((id) => of(id)))],
  },
  { how: 'DELETE', sql: ['DELETE FROM books WHERE id > 1'], changes: [came(2, 3)] },
  { how: 'TRUNCATE', sql: ['TRUNCATE books'], changes: [whole] },
  { how: 'TRUNCATE CASCADE of a parent', sql: ['TRUNCATE authors CASCADE'], changes: [whole] },
  {
    how: 'MERGE',
    sql: [
      `MERGE INTO books b USING (VALUES (1, 'm'), (2, NULL), (9, 'n')) v(id, title) ON v.id = b.id
       WHEN MATCHED AND v.title IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET title = v.title
       WHEN NOT MATCHED THEN INSERT (id, author) VALUES (v.id, 1)`,
    ],
    changes: [changed(['title'], of(1)), came(2), came(9)],
  },
  {
    how: 'statements inside WITH',
    sql: [
      `WITH gone AS (DELETE FROM books WHERE id = 1 RETURNING *), other AS (UPDATE books SET title = 'x' WHERE id = 2)
       INSERT INTO books SELECT 7, author FROM gone`,
    ],
    changes: [changed(['title'], of(2)), came(1), came(7)],
  },
  {
    how: 'a parent deleted with ON DELETE CASCADE',
    sql: ['DELETE FROM authors WHERE id = 1'],
    changes: [came(1, 2, 3)],
  },
  {
    how: 'a key of the parent changed with ON UPDATE CASCADE',
    sql: ['UPDATE authors SET id = 7 WHERE id = 1'],
    changes: [changed(['author'], ...[1, 2, 3].flatMap((id) => [of(id, 1), of(id, 7)]))],
  },
  { how: 'a transaction that is rolled back', sql: ['BEGIN; DELETE FROM books; ROLLBACK'], changes: [] },
  {
    how: 'a trigger of the application that changes the row',
    sql: [`UPDATE books SET title = 'shout' WHERE id = 1`],
    changes: [changed(['price', 'title'], of(1))],
  },
  {
    how: 'a database function',
    sql: [`DO $$ BEGIN FOR i IN 1..2 LOOP UPDATE books SET title = 'd' WHERE id = i; END LOOP; END $$`],
    changes: [changed(['title'], of(1)), changed(['title'], of(2))],
  },
]

describe('triggers record', function () {
  let db: Triggered
  before(async () => {
    db = await createTriggered()
    await db.sql(
      'CREATE TABLE authors (id int PRIMARY KEY)',
      `CREATE TABLE books (id int PRIMARY KEY, author int REFERENCES authors ON DELETE CASCADE ON UPDATE CASCADE,
         title text, note text, price numeric DEFAULT 1, place point, data json, body text)`,
      `CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF NEW.title = 'shout' THEN NEW.price := 1000; END IF; RETURN NEW; END $$`,
      'CREATE TRIGGER shout BEFORE UPDATE ON books FOR EACH ROW EXECUTE FUNCTION shout()',
    )
    await db.install({ table, columns: ['title', 'price', 'place', 'data', 'body'], capture: ['id', 'author'] })
  })
  after(() => db.world.drop())

  beforeEach(async () => {
    await db.sql(
      'TRUNCATE authors, books',
      'INSERT INTO authors VALUES (1), (2)',
      `INSERT INTO books (id, author, title, body)
         SELECT i, 1, 't' || i, (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 300) n) FROM generate_series(1, 3) i`,
    )
    await db.recorded()
  })

  for (const { how, sql, changes } of cases) {
    it(how, async () => {
      await db.world.sequelize.query(sql.join(';'))
      expect(await db.recorded()).to.have.deep.members(changes)
    })
  }

  it('COPY', async () => {
    await db.sql(`COPY books (id, author) FROM PROGRAM 'printf "8\\t1\\n9\\t2\\n"'`)
    expect(await db.recorded()).to.deep.equal([{ table, rows: [of(8, 1), of(9, 2)], columns: null }])
  })

  it('many rows in changes of up to a thousand images', async () => {
    await db.sql('INSERT INTO books SELECT i, 1 FROM generate_series(4, 3503) i')
    expect((await db.recorded()).map((each) => each.rows!.length)).to.have.members([1000, 1000, 1000, 500])
    await db.sql('UPDATE books SET author = 2')
    const moved = await db.recorded()
    expect(moved.map((each) => each.rows!.length)).to.have.members([1000, 1000, 1000, 1000, 1000, 1000, 1000, 6])
    expect(new Set(moved.flatMap((each) => each.rows!.map((row) => `${row.id}/${row.author}`))).size).to.equal(7006)
    await db.sql('DELETE FROM books')
    expect((await db.recorded()).flatMap((each) => each.rows!)).to.have.length(3503)
  })

  it('many rows quickly, also where the plan was made for few', async () => {
    await db.sql('CREATE TABLE plain (id int PRIMARY KEY, title text)', 'INSERT INTO plain VALUES (1)')
    await db.install({ table: 'public.plain', columns: ['title'], capture: ['id'] })
    const writer = await db.db.connect()
    await writer.query(`SET statement_timeout = '10s'`)
    await writer.query(`UPDATE plain SET title = 'few'`)
    await writer.query('INSERT INTO plain SELECT i FROM generate_series(2, 10000) i')
    await db.recorded()
    await writer.query(`UPDATE plain SET title = 'many'`).finally(() => writer.close())
    expect((await db.recorded()).flatMap((each) => each.rows!)).to.have.length(10_000)
  })

  it('many rows of columns that were given other types behind our back', async () => {
    await db.sql(
      'CREATE TABLE retyped (id int PRIMARY KEY, owner int, note text)',
      'INSERT INTO retyped SELECT i, i FROM generate_series(1, 3) i',
    )
    await db.install({ table: 'public.retyped', columns: ['note'], capture: ['id', 'owner'] })
    await db.sql(
      `UPDATE retyped SET note = 'planned'`,
      `ALTER TABLE retyped ALTER owner TYPE text USING '"' || owner, ALTER note TYPE json USING '1'`,
    )
    await db.recorded()
    const rows = [1, 2, 3].map((id) => ({ id: `${id}`, owner: `"${id}` }))
    await db.sql(`UPDATE retyped SET note = '2'`)
    const updated = (await db.recorded()).flatMap((each) => each.rows!)
    expect(new Set(updated.map((each) => JSON.stringify(each)))).to.deep.equal(
      new Set(rows.map((each) => JSON.stringify(each))),
    )
    await db.sql('DELETE FROM retyped')
    expect(await db.recorded()).to.deep.equal([{ table: 'public.retyped', rows, columns: null }])
    await db.sql(`INSERT INTO retyped SELECT i, '"' || i FROM generate_series(1, 3) i`)
    expect(await db.recorded()).to.deep.equal([{ table: 'public.retyped', rows, columns: null }])
  })

  it('the texts that PostgreSQL prints by default, whatever the session prints like', async () => {
    await db.sql('CREATE TABLE days (at timestamptz PRIMARY KEY, day date, span interval, raw bytea)')
    await db.install({ table: 'public.days', columns: [], capture: ['at', 'day', 'span', 'raw'] })
    await db.world.sequelize.query(
      `BEGIN; SET LOCAL TimeZone = 'Asia/Tokyo'; SET LOCAL DateStyle = 'German'; SET LOCAL IntervalStyle = 'iso_8601';
       SET LOCAL bytea_output = 'escape';
       INSERT INTO days VALUES ('2026-02-01 00:00:00+00', '2026-02-01', '1 day', '\\x0102'); COMMIT`,
    )
    expect((await db.recorded())[0]!.rows).to.deep.equal([
      { at: '2026-02-01 00:00:00+00', day: '2026-02-01', span: '1 day', raw: '\\x0102' },
    ])
  })

  it('writers without any right on the own schema, under row security and any search path', async () => {
    const role = `writer_${db.world.prefix}`
    await db.sql(
      'CREATE SCHEMA odd',
      'CREATE TABLE odd.changes (no int)',
      `CREATE FUNCTION odd.has_column_privilege(oid, int2, text) RETURNS bool LANGUAGE sql AS 'SELECT NULL::bool'`,
      `CREATE ROLE ${role}`,
      `GRANT USAGE ON SCHEMA odd, public TO ${role}`,
      `GRANT ALL ON books TO ${role}`,
      'ALTER TABLE books ENABLE ROW LEVEL SECURITY',
      `CREATE POLICY own ON books TO ${role} USING (id < 100)`,
    )
    try {
      await db.world.sequelize.query(
        `BEGIN; SET LOCAL ROLE ${role}; SET LOCAL search_path = odd, pg_catalog, public; UPDATE public.books SET title = 'w' WHERE id = 1; COMMIT`,
      )
      expect(await db.recorded()).to.deep.equal([changed(['title'], of(1))])
      const call = db.world.sequelize.query(`BEGIN; SET LOCAL ROLE ${role}; TABLE elastic_umzug.changes`)
      expect(await call.then(() => 'read', (error) => String(error.message))).to.match(/permission denied/)
    } finally {
      await db.world.sequelize.query('ROLLBACK')
      await db.sql('ALTER TABLE books DISABLE ROW LEVEL SECURITY', `DROP OWNED BY ${role}`, `DROP ROLE ${role}`)
    }
  })

  it('virtual columns as changed with any other', async () => {
    const [server] = await db.sql<{ virtual: boolean }>(
      `SELECT current_setting('server_version_num')::int >= 180000 AS virtual`,
    )
    const kind = server!.virtual ? 'VIRTUAL' : 'STORED'
    await db.sql(`CREATE TABLE made (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) ${kind})`)
    await db.install({ table: 'public.made', columns: ['twice'], capture: ['id'] })
    await db.sql('INSERT INTO made (id, a) VALUES (1, 1)', 'UPDATE made SET a = 2')
    expect((await db.recorded()).at(-1)!.columns).to.include('twice')
  })
})
