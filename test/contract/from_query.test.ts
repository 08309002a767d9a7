import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { DataTypes } from 'sequelize'
import { fromQuery, type FromQueryOptions } from '../../adapters/postgres/index.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { ElasticUmzugError } from '../../src/errors.ts'
import type { Db, Dependency, Source } from '../../src/ports.ts'
import { parsed, readAll } from '../support/both-ways.ts'
import { createWorld, type World } from '../support/world.ts'

const everything = { after: null, upTo: null }
const large = { rows: 1_000, bytes: 1e9 }

const tables = `
CREATE SCHEMA sales;
CREATE TABLE customers (id serial PRIMARY KEY, name text, note text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, placed timestamptz, hidden bool DEFAULT false, memo text, parent int);
CREATE TABLE order_lines (order_id int, n int, qty int, price numeric(8, 2), color text, PRIMARY KEY (order_id, n));
CREATE TABLE sales."par,ts" (part text, number int, label jsonb, PRIMARY KEY (part, number));
CREATE TABLE keyless (a int);
CREATE VIEW totals AS SELECT order_id, sum(qty * price) AS total FROM order_lines GROUP BY 1;
CREATE MATERIALIZED VIEW sums AS SELECT * FROM totals;
INSERT INTO customers (name) VALUES ('Ann'), (E'B\\n"ö"');
INSERT INTO orders SELECT n, 1 + n % 2, '2020-01-01Z', n % 5 = 0 FROM generate_series(1, 40) n;
INSERT INTO order_lines SELECT o, n, n, 1.5, 'red' FROM generate_series(1, 40) o, generate_series(1, o % 3) n;
INSERT INTO sales."par,ts" SELECT p, n, '{"a": 1}' FROM unnest(ARRAY['x', 'a,b', 'c\\d']) p, generate_series(1, 3) n;
CREATE FUNCTION keys_of(keys text, rows jsonb, cursor text, most int) RETURNS text[] LANGUAGE plpgsql AS $$ DECLARE found text[]; BEGIN
  EXECUTE 'SELECT array_agg(k.key) FROM (' || keys || ') k' INTO found USING rows, cursor, most; RETURN found; END $$;`

const orders = {
  table: 'orders',
  query: `SELECT o.id, c.name AS customer, o.placed,
      (SELECT json_agg(json_build_object('qty', l.qty, 'price', l.price) ORDER BY l.n) FROM order_lines l WHERE l.order_id = o.id) AS lines
    FROM keys JOIN orders o USING (id) LEFT JOIN customers c ON c.id = o.customer_id
    WHERE NOT o.hidden -- a comment`,
  dependsOn: {
    order_lines: { key: 'order_id' },
    customers: { keys: `SELECT o.id FROM orders o JOIN changed c ON c.id = o.customer_id;` },
  },
} satisfies FromQueryOptions

const parts: FromQueryOptions = {
  table: 'sales.par,ts',
  query: `SELECT p.* FROM sales."par,ts" p JOIN keys k ON (p.part, p.number) = (k.part, k.number)`,
}

describe('a source made from a query', () => {
  let world: World
  let db: Db

  before(async () => {
    world = await createWorld()
    db = fromSequelize(world.sequelize)
    await world.sequelize.query(tables)
  })
  after(() => world.drop())

  async function refusal(options: FromQueryOptions): Promise<ElasticUmzugError> {
    try {
      await fromQuery(options).dependencies(db)
    } catch (error) {
      expect(error).to.be.instanceOf(ElasticUmzugError)
      return error as ElasticUmzugError
    }
    throw new Error('it was not refused')
  }

  async function keysOf({ keys }: Pick<Dependency, 'keys'>, rows: unknown, cursor: string | null = null, most = 1_000) {
    const sql = 'SELECT to_json(keys_of($1, $2, $3, $4)) AS keys'
    return (await db.query<{ keys: string[] }>(sql, [keys, JSON.stringify(rows), cursor, most]))[0]!.keys
  }

  it('makes lines of a bulk request in key order, page by page, passing over rows without a document', async () => {
    const source = fromQuery(orders)
    const page = await source.page(db, { after: '2', upTo: '9' }, { rows: 4, bytes: 1e9 }, '7')
    expect(page.body.split('\n')[0]).to.equal('{"index":{"_id":"3","version":7,"version_type":"external"}}')
    expect([...parsed(page).keys()]).to.deep.equal(['3', '4', '6'])
    expect(page).to.include({ count: 3, last: '6' })
    expect(parsed(page).get('4')).to.deep.equal({
      id: 4,
      customer: 'Ann',
      placed: '2020-01-01T00:00:00+00:00',
      lines: [{ qty: 1, price: 1.5 }],
    })
    expect(await source.page(db, { after: '4', upTo: '5' }, large, '7')).to.include({ count: 0, body: '', last: '5' })
    expect(await source.page(db, { after: '9', upTo: '9' }, large, '7')).to.include({ count: 0, last: null })
    expect([...(await readAll(source, db, 4)).keys()]).to.have.lengthOf(32)
    expect(await source.count(db)).to.equal(32)
    expect(await source.split(db, 4)).to.deep.equal(['10', '20', '30'])
  })

  it('ends a page early by bytes, yet always holds a row', async () => {
    for (const document of [undefined, (row: Record<string, unknown>) => row]) {
      const source = fromQuery({ ...orders, ...(document ? { document } : {}) })
      const one = await source.page(db, everything, { rows: 9, bytes: 1 }, '1')
      expect(one).to.include({ count: 1, last: '1' })
      const two = await source.page(db, { after: '1', upTo: null }, { rows: 9, bytes: 150 }, '1')
      expect(two.count).to.be.within(1, 2)
      expect((await readAll(source, db, 9)).size).to.equal(32)
    }
  })

  it('gives the documents of keys, and leaves out keys that are none', async () => {
    const found = await fromQuery(orders).byKeys(
      db,
      ['4', 'x', '2', '5', '99', '', '007', '2', '99999999999', '03'],
      '7',
    )
    expect(found.keys).to.deep.equal(['2', '4'])
    expect([...parsed(found).keys()]).to.deep.equal(['2', '4'])
    expect(await fromQuery(orders).byKeys(db, [], '7')).to.deep.include({ count: 0, keys: [], body: '' })
  })

  it('writes composite keys as a source made from a model does', async () => {
    const { TEXT, INTEGER, JSONB } = DataTypes
    const Part = world.sequelize.define('Part', {
      part: { type: TEXT, primaryKey: true },
      number: { type: INTEGER, primaryKey: true },
      label: JSONB,
    }, { schema: 'sales', tableName: 'par,ts', timestamps: false })
    const source = fromQuery(parts)
    const wanted = await readAll(fromModel(Part), db, 2)
    expect([...await readAll(source, db, 2)]).to.deep.equal([...wanted])
    expect((await source.byKeys(db, [...wanted.keys(), 'a', '\\'], '1')).keys).to.deep.equal([...wanted.keys()])
    const [own] = await source.dependencies(db)
    expect(own!.capture).to.deep.equal(['part', 'number'])
    expect(await keysOf(own!, [{ part: 'a,b', number: '007' }])).to.deep.equal(['a\\,b,7'])
    expect(await source.split(db, 3)).to.have.lengthOf(2)
  })

  it('makes documents with `document`, or none where it gives nothing or throws', async () => {
    const source = fromQuery({
      ...orders,
      async document(row) {
        await Promise.resolve()
        if (row['id'] === 3) throw new Error('no three')
        return row['id'] === 4 ? undefined : { of: row['customer'] }
      },
    })
    const page = await source.page(db, everything, { rows: 5, bytes: 1e9 }, '1')
    expect([...parsed(page)]).to.deep.equal([['1', { of: 'B\n"ö"' }], ['2', { of: 'Ann' }]])
    expect(page).to.deep.include({ last: '5', failed: [{ key: '3', reason: 'no three' }] })
    expect(await source.count(db)).to.equal(30)
  })

  it('holds back a key alone for which the query gives two rows', async () => {
    const source = fromQuery({
      ...orders,
      query: `SELECT k.id, l.color FROM keys k LEFT JOIN order_lines l ON l.order_id = k.id AND l.order_id IN (2, 3)`,
    })
    const found = await source.byKeys(db, ['1', '2', '3'], '1')
    expect(found.keys).to.deep.equal(['1', '3'])
    expect(found.failed).to.deep.equal([{ key: '2', reason: 'the query gives more than one row for this key' }])
  })

  it('writes no document that was not asked for', async () => {
    const source = fromQuery({ ...orders, query: `SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM keys)` })
    expect((await source.byKeys(db, ['7'], '1')).keys).to.deep.equal(['7'])
  })

  it('depends on exactly the columns that the query reads', async () => {
    const [own, lines, customers] = await fromQuery(orders).dependencies(db)
    expect(own).to.include({ table: 'public.orders', own: true })
    expect(own!.columns).to.have.members(['id', 'customer_id', 'placed', 'hidden'])
    expect(own!.capture).to.deep.equal(['id'])
    expect(lines!.columns).to.have.members(['order_id', 'n', 'qty', 'price'])
    expect(lines!.capture).to.have.members(['order_id', 'n'])
    expect(customers!.columns).to.have.members(['id', 'name'])
    expect(customers!.capture).to.deep.equal(['id'])
  })

  it('depends on all columns where a whole row is read, and through views on their tables', async () => {
    const whole = await fromQuery({
      ...orders,
      query: `SELECT id, (SELECT json_agg(l) FROM order_lines l WHERE order_id = id) AS lines FROM keys`,
    }).dependencies(db)
    expect(whole[1]!.columns).to.include('color')
    const joined = await fromQuery({
      ...orders,
      query:
        `SELECT k.id, to_json(j) AS j FROM keys k, (orders o LEFT JOIN order_lines l ON l.order_id = o.id) AS j WHERE j.id = k.id`,
    }).dependencies(db)
    expect(joined[1]!.columns).to.include('color')
    expect(joined[0]!.columns).to.include('memo')
    const part = await fromQuery({
      ...orders,
      query:
        `SELECT id, (SELECT json_agg(x) FROM (SELECT qty FROM order_lines WHERE order_id = id) x) AS lines FROM keys`,
    }).dependencies(db)
    expect(part[1]!.columns).to.have.members(['order_id', 'n', 'qty'])
    const view = await fromQuery({
      ...orders,
      query: `SELECT id, total FROM keys LEFT JOIN totals ON order_id = id`,
    }).dependencies(db)
    expect(view[1]!.columns).to.have.members(['order_id', 'n', 'qty', 'price'])
  })

  it('names the documents that changed rows concern, in pages after a cursor', async () => {
    const [, lines, customers] = await fromQuery(orders).dependencies(db)
    expect(await keysOf(lines!, [{ order_id: '4', n: '1' }, { order_id: '7', n: '1' }])).to.deep.equal(['4', '7'])
    const ofAnn = Array.from({ length: 20 }, (_, at) => String(2 * at + 2))
    expect(await keysOf(customers!, [{ id: '1' }])).to.deep.equal(ofAnn)
    expect(await keysOf(customers!, [{ id: '1' }], '10', 2)).to.deep.equal(['12', '14'])
    expect(await keysOf({ keys: customers!.allKeys }, [], '38')).to.deep.equal(['39', '40'])
  })

  it('follows other rows of its own table where that is said', async () => {
    const source = fromQuery({
      table: 'orders',
      query: `SELECT o.id, p.memo FROM keys JOIN orders o USING (id) LEFT JOIN orders p ON p.id = o.parent`,
      dependsOn: { orders: { keys: 'SELECT o.id FROM orders o JOIN changed c ON c.id = o.parent' } },
    })
    await db.query('UPDATE orders SET parent = 1 WHERE id IN (8, 9)')
    const [own, other] = await source.dependencies(db)
    expect(await keysOf(own!, [{ id: '1' }])).to.deep.equal(['1'])
    expect(await keysOf(other!, [{ id: '1' }])).to.deep.equal(['8', '9'])
  })

  it('is made as the README shows it', async () => {
    const block = readFileSync('README.md', 'utf8').split('```js\n').map((each) => each.split('\n```')[0]!)
    const shown = block.find((each) => each.startsWith('fromQuery('))!
    await db.query('ALTER TABLE orders RENAME placed TO placed_at')
    const source = new Function('fromQuery', `return ${shown}`)(fromQuery) as Source
    const dependencies = await source.dependencies(db)
    expect(parsed(await source.byKeys(db, ['4'], '1')).get('4')).to.include({ customer: 'Ann', total: 1.5 })
    expect(dependencies.map((each) => each.table)).to.deep.equal([
      'public.orders',
      'public.order_lines',
      'public.customers',
    ])
    await db.query('ALTER TABLE orders RENAME placed_at TO placed')
  })

  it('leaves nothing in the database', async () => {
    await fromQuery(orders).dependencies(db)
    const left = await db.query(
      `SELECT relname FROM pg_class WHERE relname IN ('keys', 'changed', 'elastic_umzug_probe')`,
    )
    expect(left).to.deep.equal([])
  })

  const query = 'SELECT id FROM keys'
  const refused: [string, FromQueryOptions, RegExp, RegExp][] = [
    [
      'a column that does not exist',
      { ...orders, query: 'SELECT id, o.nope FROM keys JOIN orders o USING (id)' },
      /nope does not exist/,
      /correct the SQL/,
    ],
    ['a table that does not exist', { table: 'nowhere', query }, /no such table/, /npx umzug up/],
    ['a table without primary key', { table: 'keyless', query }, /no primary key/, /ADD PRIMARY KEY/],
    [
      'parameters',
      { ...orders, query: 'SELECT id FROM keys WHERE id = ANY ($1)' },
      /no parameter \$1/,
      /take no parameters/,
    ],
    [
      'a query that is asked for nothing',
      { ...orders, query: 'SELECT id FROM orders' },
      /does not read `keys`/,
      /FROM keys JOIN orders USING \(id\)/,
    ],
    [
      'a query without the key',
      { ...orders, query: 'SELECT o.memo FROM keys JOIN orders o USING (id)' },
      /no column "id"/,
      /select the key, too/,
    ],
    [
      'a key of another type',
      { ...orders, query: 'SELECT id::text AS id FROM keys' },
      /operator does not exist/,
      /correct/,
    ],
    [
      'two columns of one name',
      { ...orders, query: 'SELECT id, 1 AS a, 2 AS a FROM keys' },
      /more than once/,
      /correct/,
    ],
    ['two statements', { ...orders, query: 'SELECT id FROM keys; SELECT 1' }, /syntax error/, /correct/],
    [
      'a statement that writes',
      { ...orders, query: 'WITH x AS (DELETE FROM orders) SELECT id FROM keys' },
      /refuses/,
      /correct/,
    ],
    [
      'a table nobody says how to follow',
      { ...orders, dependsOn: {} },
      /reads (customers|order_lines), and/,
      /add '.*: \{ key/,
    ],
    [
      'a materialized view',
      { ...orders, query: 'SELECT id, s.total FROM keys JOIN sums s ON order_id = id' },
      /materialized view sums/,
      /sums': false/,
    ],
    [
      'a view to follow',
      { ...orders, dependsOn: { ...orders.dependsOn, totals: { key: 'order_id' } } },
      /totals is a view/,
      /behind it/,
    ],
    [
      'an unknown table to follow',
      { ...orders, dependsOn: { ...orders.dependsOn, 'x.y': false, z: { key: 'a' } } },
      /dependsOn.z is no table/,
      /name/,
    ],
    [
      'an unknown column to follow',
      { ...orders, dependsOn: { ...orders.dependsOn, order_lines: { key: 'nope' } } },
      /no column "nope"/,
      /column that holds id/,
    ],
    [
      'too many columns of a key',
      { ...orders, dependsOn: { ...orders.dependsOn, order_lines: { key: ['order_id', 'n'] } } },
      /has 2 columns/,
      /hold id/,
    ],
    [
      'a column of another type to follow',
      { ...orders, dependsOn: { ...orders.dependsOn, order_lines: { key: 'color' } } },
      /operator does not exist/,
      /correct/,
    ],
    [
      'keys of nothing that changed',
      { ...orders, dependsOn: { ...orders.dependsOn, customers: { keys: 'SELECT id FROM orders' } } },
      /does not read `changed`/,
      /join/,
    ],
    [
      'keys with too many columns',
      { ...orders, dependsOn: { ...orders.dependsOn, customers: { keys: 'SELECT id, 1 FROM changed' } } },
      /gives 2 columns/,
      /select the key of the documents: id/,
    ],
    [
      'keys by a column that is not there',
      { ...orders, dependsOn: { ...orders.dependsOn, customers: { keys: 'SELECT c.nope FROM changed c' } } },
      /customers\.keys.*nope/,
      /correct/,
    ],
  ]
  for (const [what, options, message, next] of refused) {
    it(`refuses ${what}`, async () => {
      const error = await refusal(options)
      expect(error.code).to.equal('SOURCE_INVALID')
      expect(error.message).to.match(message)
      expect(error.next).to.match(next)
    })
  }

  it('takes what cannot be followed where its changes concern no document', async () => {
    const dependencies = await fromQuery({
      table: 'orders',
      query: 'SELECT id, s.total FROM keys LEFT JOIN sums s ON order_id = id',
      dependsOn: { sums: false },
    }).dependencies(db)
    expect(dependencies.map((each) => each.table)).to.deep.equal(['public.orders'])
  })

  it('refuses options of the wrong kind where they are written', () => {
    const wrong = [
      undefined,
      { table: 'orders' },
      { table: '', query },
      { table: 'orders', query, dependsOn: { a: 'id' } },
      { table: 'orders', query, dependsOn: { a: { key: 'id', keys: 'SELECT 1' } } },
      { table: 'orders', query, document: 1 },
    ]
    for (const each of wrong) {
      expect(() => fromQuery(each as never)).to.throw(ElasticUmzugError).with.property('code', 'DEFINITION_INVALID')
    }
  })

  it('says so when a column is taken away under it, and goes on when it is back', async () => {
    const source = fromQuery(orders)
    await source.byKeys(db, ['1'], '1')
    await db.query('ALTER TABLE orders RENAME placed TO placed_at')
    const error = await source.byKeys(db, ['1'], '1').then(() => undefined, (thrown: unknown) => thrown)
    expect(String(error)).to.match(/placed does not exist/)
    await db.query('ALTER TABLE orders RENAME placed_at TO placed')
    expect((await source.byKeys(db, ['1'], '1')).keys).to.deep.equal(['1'])
  })
})
