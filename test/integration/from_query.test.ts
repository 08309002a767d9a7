import { expect } from 'chai'
import { DataTypes, type Model, type ModelStatic } from 'sequelize'
import { fromQuery } from '../../adapters/postgres/index.ts'
import { monotonicClock } from '../../adapters/clock.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { installTriggers } from '../../src/capture/install.ts'
import { registeredNeeds } from '../../src/capture/needs.ts'
import { defineConfig, defineIndex, type ElasticUmzug, elasticUmzug } from '../../src/index.ts'
import { openStore } from '../../src/store/store.ts'
import { below, pick, type Random, randomFrom } from '../support/bookshop.ts'
import { type ByKey, readAll } from '../support/both-ways.ts'
import { createWorld, type World } from '../support/world.ts'

const tables = `
CREATE SCHEMA sales;
CREATE TABLE regions (code text PRIMARY KEY, title text, note text);
CREATE TABLE customers (id serial PRIMARY KEY, name text, region text REFERENCES regions ON UPDATE CASCADE ON DELETE SET NULL);
CREATE TABLE sales.orders (shop text, number int, customer_id int REFERENCES customers ON DELETE SET NULL, hidden bool NOT NULL DEFAULT false,
  memo text, PRIMARY KEY (shop, number));
CREATE TABLE order_lines (id serial PRIMARY KEY, shop text, number int, qty int, color text,
  FOREIGN KEY (shop, number) REFERENCES sales.orders ON UPDATE CASCADE ON DELETE CASCADE);
INSERT INTO regions SELECT 'r' || n, 'Region ' || n FROM generate_series(1, 3) n;
INSERT INTO customers (name, region) SELECT 'c' || n, 'r' || 1 + n % 3 FROM generate_series(1, 6) n;
INSERT INTO sales.orders SELECT s, n, 1 + n % 6 FROM unnest(ARRAY['north', 'a,b']) s, generate_series(1, 15) n;
INSERT INTO order_lines (shop, number, qty) SELECT shop, number, n FROM sales.orders, generate_series(1, 2) n;`

const source = fromQuery({
  table: 'sales.orders',
  query: `SELECT o.shop, o.number, c.name AS customer, r.title AS region,
      (SELECT coalesce(sum(l.qty), 0) FROM order_lines l WHERE (l.shop, l.number) = (o.shop, o.number)) AS pieces
    FROM keys JOIN sales.orders o USING (shop, number) LEFT JOIN customers c ON c.id = o.customer_id LEFT JOIN regions r ON r.code = c.region
    WHERE NOT o.hidden`,
  dependsOn: {
    order_lines: { key: ['shop', 'number'] },
    customers: { keys: `SELECT o.shop, o.number FROM sales.orders o JOIN changed c ON c.id = o.customer_id` },
    regions: {
      keys:
        `SELECT o.shop, o.number FROM sales.orders o JOIN customers c ON c.id = o.customer_id JOIN changed r ON r.code = c.region`,
    },
  },
})

type AnyModel = ModelStatic<Model<Record<string, unknown>, Record<string, unknown>>>

describe('documents of a query', () => {
  let world: World
  let search: ElasticUmzug
  let models: Record<'Region' | 'Customer' | 'Order' | 'Line', AnyModel>

  before(async () => {
    world = await createWorld()
    await world.sequelize.query(tables)
    models = defineModels(world)
    search = elasticUmzug(defineConfig({
      sequelize: world.sequelize,
      elasticsearch: world.client,
      prefix: world.prefix,
      indexes: [
        defineIndex({
          name: 'orders',
          settings: { number_of_replicas: 0 },
          mappings: { dynamic: false, properties: {} },
          source,
        }),
      ],
      pollMs: 20,
    }))
    await search.up()
    await search.start()
  })
  after(async () => {
    await search?.stop()
    await world.drop()
  })

  async function indexed(): Promise<ByKey> {
    const { hits } = await world.client.search({ index: search.alias('orders'), size: 1_000 })
    return new Map(hits.hits.map((each) => [each._id!, each._source]))
  }

  async function expectSame(when: string): Promise<void> {
    await search.settled()
    const [found, wanted] = [await indexed(), await readAll(source, fromSequelize(world.sequelize), 100)]
    expect([...found.keys()].sort(), when).to.deep.equal([...wanted.keys()].sort())
    for (const [key, document] of wanted) expect(found.get(key), `${key} ${when}`).to.deep.equal(document)
  }

  async function change(random: Random): Promise<string> {
    const { Region, Customer, Order, Line } = models
    const model = pick(random, [Region, Customer, Order, Order, Line, Line])
    const row = pick(random, await model.findAll({ order: [...model.primaryKeyAttributes] }))
    const order = pick(random, await Order.findAll({ order: ['shop', 'number'] }))
    const { shop, number } = order.get() as { shop: string; number: number }
    const customer = pick(random, await Customer.findAll({ order: ['id'] })).get('id')
    const region = pick(random, await Region.findAll({ order: ['code'] })).get('code')
    const [what, work] = pick<[string, () => unknown]>(random, [
      ['title', () => Region.update({ title: `t${random()}` }, { where: { code: region } })],
      ['region key', () => Region.update({ code: `k${random()}` }, { where: { code: region } })],
      ['name', () => Customer.update({ name: `n${random()}` }, { where: { id: customer } })],
      ['moved customer', () => Customer.update({ region }, { where: { id: customer } })],
      ['moved order', () => order.update({ customer_id: customer })],
      ['hidden', () => order.update({ hidden: random() < 0.5 })],
      ['order key', () => Order.update({ number: 100 + below(random, 1e6) }, { where: { shop, number } })],
      ['new order', () => Order.create({ shop: 'new', number: below(random, 1e6), customer_id: customer })],
      ['new lines', () => Line.bulkCreate([{ shop, number, qty: 3 }, { shop, number, qty: 4 }])],
      ['moved lines', () => Line.update({ shop, number }, { where: { qty: 2 }, limit: 2 })],
      ['quantity', () => Line.increment('qty', { where: { shop, number } })],
      ['deleted', () => row.destroy()],
    ])
    await Promise.resolve(work()).catch(() => {})
    return `${model.name} ${what}`
  }

  it('follow what models write to every table they read', async () => {
    await expectSame('at first')
    expect((await indexed()).get('a\\,b,1')).to.deep.equal({
      shop: 'a,b',
      number: 1,
      customer: 'c2',
      region: 'Region 3',
      pieces: 3,
    })
    const random = randomFrom(Number(process.env['SEED'] ?? 3))
    for (let round = 0; round < 8; round++) {
      const done: string[] = []
      for (let count = 0; count < 8; count++) done.push(await change(random))
      await expectSame(`after round ${round}: ${done.join(', ')}`)
    }
  })

  it('are left alone by columns that the query does not read', async () => {
    await search.settled()
    await search.stop()
    await models.Region.update({ note: 'x' }, { where: {} })
    await models.Order.update({ memo: 'x' }, { where: {} })
    await models.Line.update({ color: 'red' }, { where: {} })
    const recorded = await fromSequelize(world.sequelize).query('SELECT * FROM elastic_umzug.changes')
    await search.start()
    expect(recorded).to.deep.equal([])
  })

  it('follow raw SQL where its tables have triggers', async () => {
    const db = fromSequelize(world.sequelize)
    const store = openStore(db, 'elastic_umzug')
    const deps = { store, clock: monotonicClock, onLine() {} }
    const tables = await installTriggers(deps, await registeredNeeds(store, db), { replicated: false })
    expect(tables).to.have.members(['sales.orders', 'public.order_lines', 'public.customers', 'public.regions'])
    const writes = [
      `UPDATE regions SET title = 'by hand' WHERE code = (SELECT min(code) FROM regions)`,
      `UPDATE customers SET region = (SELECT max(code) FROM regions) WHERE id % 2 = 0`,
      `INSERT INTO order_lines (shop, number, qty) SELECT shop, number, 7 FROM sales.orders WHERE number < 20`,
      `UPDATE order_lines l SET (shop, number) = (SELECT shop, number FROM sales.orders ORDER BY number DESC LIMIT 1) WHERE qty = 7 AND id % 3 = 0`,
      `UPDATE sales.orders SET number = number + 1000 WHERE shop = 'a,b'`,
      `DELETE FROM sales.orders WHERE number = 3`,
      `DELETE FROM regions WHERE code = (SELECT max(code) FROM regions)`,
      `UPDATE customers SET name = upper(name)`,
    ]
    for (const sql of writes) {
      await db.query(sql)
      await expectSame(`after ${sql}`)
    }
    await db.query(`UPDATE regions SET note = 'y'`)
    expect(await db.query('SELECT * FROM elastic_umzug.changes')).to.deep.equal([])
  })

  it('are emptied with their table', async () => {
    await models.Order.truncate({ cascade: true })
    await expectSame('after TRUNCATE')
    expect((await indexed()).size).to.equal(0)
  })
})

function defineModels({ sequelize }: World): Record<'Region' | 'Customer' | 'Order' | 'Line', AnyModel> {
  const { TEXT, INTEGER, BOOLEAN } = DataTypes
  const plain = { timestamps: false }
  const id = () => ({ type: INTEGER, primaryKey: true, autoIncrement: true })
  const key = () => ({ type: TEXT, primaryKey: true })
  const Region = sequelize.define('Region', { code: key(), title: TEXT, note: TEXT }, {
    ...plain,
    tableName: 'regions',
  })
  const Customer = sequelize.define('Customer', { id: id(), name: TEXT, region: TEXT }, {
    ...plain,
    tableName: 'customers',
  })
  const Order = sequelize.define('Order', {
    shop: key(),
    number: { type: INTEGER, primaryKey: true },
    customer_id: INTEGER,
    hidden: BOOLEAN,
    memo: TEXT,
  }, { ...plain, schema: 'sales', tableName: 'orders' })
  const Line = sequelize.define('Line', { id: id(), shop: TEXT, number: INTEGER, qty: INTEGER, color: TEXT }, {
    ...plain,
    tableName: 'order_lines',
  })
  return { Region, Customer, Order, Line } as never
}
