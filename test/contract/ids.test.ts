import { expect } from 'chai'
import { DataTypes, type Model, type ModelStatic } from 'sequelize'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel, type FromModelOptions } from '../../adapters/sequelize/index.ts'
import { fromQuery } from '../../adapters/postgres/index.ts'
import { ElasticUmzugError } from '../../src/errors.ts'
import { defineIndex, fromSources } from '../../src/index.ts'
import type { Db, Source } from '../../src/ports.ts'
import { parsed, readAll } from '../support/both-ways.ts'
import { createWorld, type World } from '../support/world.ts'

const everything = { after: null, upTo: null }
const large = { rows: 1_000, bytes: 1e9 }

async function rejection(work: () => unknown): Promise<ElasticUmzugError> {
  try {
    await work()
  } catch (error) {
    expect(error).to.be.instanceOf(ElasticUmzugError)
    return error as ElasticUmzugError
  }
  throw new Error('it was not refused')
}

describe('ids and routing of a source', () => {
  let world: World
  let db: Db
  let Note: ModelStatic<Model>

  before(async () => {
    world = await createWorld()
    db = fromSequelize(world.sequelize)
    Note = world.sequelize.define('Note', {
      slug: { type: DataTypes.TEXT, allowNull: false, unique: true },
      shelf: { type: DataTypes.INTEGER, allowNull: false },
      place: { type: DataTypes.INTEGER, allowNull: false },
      loose: DataTypes.TEXT,
      tenant: { type: DataTypes.TEXT, allowNull: false, field: 'tenant_id' },
    }, { tableName: 'notes', timestamps: false })
    await Note.sync()
    await db.query('CREATE UNIQUE INDEX ON notes (place, shelf)')
    await Note.bulkCreate(Array.from({ length: 20 }, (_, at) => ({
      slug: `${String.fromCharCode(116 - at)},"${at}\\`,
      shelf: at % 3,
      place: 20 - at,
      loose: at % 2 ? null : 'x',
      tenant: `t"${at % 4}`,
    })))
  })
  after(() => world.drop())

  // The ways in which documents are made keep the same contract.
  const ways: [string, (options: { id?: string[]; routing?: string }) => Source][] = [
    ['by PostgreSQL', (options) => fromModel(Note, options as FromModelOptions)],
    [
      'from instances',
      (options) => fromModel(Note, { ...options, document: (row: Model) => row.toJSON() } as FromModelOptions),
    ],
    ['by a query', ({ id = ['id'], routing }) =>
      fromQuery({
        table: 'notes',
        key: id.map(columnOf),
        ...(routing && { routing: columnOf(routing) }),
        query: 'SELECT n.* FROM notes n JOIN keys k ON k IS NOT NULL AND ' +
          [...id, ...(routing ? [routing] : [])].map(columnOf).map((each) => `n.${each} = k.${each}`).join(' AND '),
      })],
  ]
  const columnOf = (name: string) => name === 'tenant' ? 'tenant_id' : name

  for (const [way, sourceOf] of ways) {
    describe(way, () => {
      it('takes a unique attribute for the id, and reads in its order', async () => {
        const source = sourceOf({ id: ['slug'] })
        const found = await readAll(source, db, 3)
        const rows = await db.query<{ slug: string }>('SELECT slug FROM notes ORDER BY slug')
        expect([...found.keys()]).to.deep.equal(rows.map((each) => each.slug))
        expect(await source.split(db, 4)).to.deep.equal([4, 9, 14].map((at) => rows[at]!.slug))
        const some = [rows[3]!.slug, 'nothing', rows[9]!.slug]
        expect((await source.byKeys(db, some, '1')).keys).to.have.members([some[0], some[2]])
      })

      it('takes several, whatever the order of the index', async () => {
        const source = sourceOf({ id: ['shelf', 'place', 'slug'].slice(0, 2) })
        const found = await readAll(source, db, 3)
        const rows = await db.query<{ key: string }>(
          `SELECT shelf || ',' || place AS key FROM notes ORDER BY place, shelf`,
        )
        expect([...found.keys()]).to.deep.equal(rows.map((each) => each.key))
        const range = { after: '0,5', upTo: '1,10' }
        expect([...(await readAll(source, db, 2, range)).keys()]).to.deep.equal(
          rows.slice(
            rows.findIndex((each) => each.key === '0,5') + 1,
            rows.findIndex((each) => each.key === '1,10') + 1,
          )
            .map((each) => each.key),
        )
        const byKeys = await source.byKeys(db, ['0,5', '1,5', 'x,5', '0'], '1')
        expect(byKeys.keys).to.deep.equal(['0,5'])
      })

      it('puts the routing before the id, and into the action', async () => {
        const source = sourceOf({ routing: 'tenant' })
        const page = await source.page(db, everything, { rows: 2, bytes: 1e9 }, '7')
        const action = JSON.parse(page.body.split('\n')[2]!) as unknown
        expect(action).to.deep.equal({
          index: { _id: 't"1,2', version: 7, version_type: 'external', routing: 't"1' },
        })
        expect(source.routing!('t"1,2')).to.equal('t"1')
        expect(page.last).to.equal('t"1,2')
        const all = [...(await readAll(source, db, 3)).keys()]
        expect(all).to.deep.equal(Array.from({ length: 20 }, (_, at) => `t"${at % 4},${at + 1}`))
        // Under another routing it is not this row's document.
        expect((await source.byKeys(db, ['t"0,1', 't"1,1', 't"3,4'], '1')).keys).to.deep.equal(['t"0,1', 't"3,4'])
        expect(await source.split(db, 4)).to.deep.equal(['t"0,5', 't"1,10', 't"2,15'])
      })

      it('takes the routing from the id where it is part of it', async () => {
        const source = sourceOf({ id: ['place', 'shelf'], routing: 'shelf' })
        expect([...(await readAll(source, db)).keys()][0]).to.equal('1,1')
        expect(source.routing!('20,0')).to.equal('0')
        expect(source.routing!('nothing')).to.equal(undefined)
      })

      it('refuses an id without a unique index, with the statement that makes one', async () => {
        const error = await rejection(() => sourceOf({ id: ['shelf', 'tenant'] }).dependencies(db))
        expect(error.code).to.equal('SOURCE_INVALID')
        expect(error.message).to.match(/no unique index .* shelf, tenant_id/)
        expect(error.next).to.equal('CREATE UNIQUE INDEX CONCURRENTLY ON "public"."notes" ("shelf", "tenant_id")')
      })

      it('refuses an id or a routing that may be null, with the statement that forbids it', async () => {
        for (const options of [{ id: ['slug', 'loose'] }, { routing: 'loose' }]) {
          const error = await rejection(() => sourceOf(options).count(db))
          expect(error.code).to.equal('SOURCE_INVALID')
          expect(error.message).to.contain('column "loose", which makes the id of its documents, may be null')
          expect(error.next).to.equal('ALTER TABLE "public"."notes" ALTER COLUMN "loose" SET NOT NULL')
        }
      })

      it('refuses a column that there is not', async () => {
        for (const options of [{ id: ['nothing'] }, { routing: 'nothing' }]) {
          const error = await rejection(() => sourceOf(options).dependencies(db))
          expect(error.code).to.equal('SOURCE_INVALID')
          expect(error.message).to.contain('"nothing"')
        }
      })

      it('has what it was and what it is recorded of a key', async () => {
        const [own] = await sourceOf({ id: ['slug'], routing: 'tenant' }).dependencies(db)
        expect(own!.capture).to.have.members(['id', 'slug', 'tenant_id'])
        expect(own!.columns).to.include.members(['slug', 'tenant_id'])
      })
    })
  }

  it('of a query are found from other tables by what tells its rows apart, without the routing', async () => {
    await db.query('CREATE TABLE marks (id int PRIMARY KEY, note text, stars int)')
    const source = (dependsOn: object) =>
      fromQuery({
        table: 'notes',
        key: 'slug',
        routing: 'tenant_id',
        query: `SELECT n.slug, n.tenant_id, (SELECT sum(m.stars) FROM marks m WHERE m.note = n.slug) AS stars
          FROM keys JOIN notes n USING (slug)`,
        dependsOn: { marks: dependsOn } as never,
      })
    const rows = await db.query<{ slug: string; key: string }>(
      `SELECT slug, tenant_id || ',' || replace(replace(slug, '\\', '\\\\'), ',', '\\,') AS key FROM notes ORDER BY slug LIMIT 3`,
    )
    const images = JSON.stringify(rows.map((each) => ({ id: '1', note: each.slug })))
    for (const dependsOn of [{ key: 'note' }, { keys: 'SELECT c.note FROM changed c' }]) {
      const [own, marks] = await source(dependsOn).dependencies(db)
      expect(marks!.capture).to.have.members(['id', 'note'])
      const keys = async (cursor: string | null, most: number) =>
        (await db.query<{ key: string }>(marks!.keys, [images, cursor, most])).map((each) => each.key)
      expect(await keys(null, 2)).to.deep.equal(rows.slice(0, 2).map((each) => each.key))
      expect(await keys(rows[1]!.key, 2)).to.deep.equal([rows[2]!.key])
      const image = JSON.stringify([{ slug: 'a,b', tenant_id: 't' }, { slug: 'a,b', tenant_id: 'u' }, { slug: 'c' }])
      const found = await db.query<{ key: string | null }>(own!.keys, [image])
      // An image without the routing is of before a version that reads it.
      expect(found.map((each) => each.key)).to.deep.equal(['t,a\\,b', 'u,a\\,b', null])
    }
    const error = await rejection(() => source({ key: ['id', 'note'] }).dependencies(db))
    expect(error.message).to.match(/has 2 columns/)
    expect(() => fromQuery({ table: 'notes', routing: 'tenant_id', query: 'SELECT 1' })).to.throw(/without `key`/)
    expect(() => fromQuery({ table: 'notes', key: [], query: 'SELECT 1' })).to.throw(/`key` is neither/)
  })

  it('make another definition of the same mappings', () => {
    const hashOf = (source: Source) => defineIndex({ name: 'notes', mappings: {}, source }).hash
    const hashes = [
      fromModel(Note),
      fromModel(Note, { id: 'slug' } as FromModelOptions),
      fromModel(Note, { routing: 'tenant' } as FromModelOptions),
      fromSources({ note: fromModel(Note) }),
      fromSources({ other: fromModel(Note) }),
      fromSources({ note: fromModel(Note, { id: 'slug' } as FromModelOptions) }),
    ].map(hashOf)
    expect(new Set(hashes).size).to.equal(hashes.length)
    expect(hashOf(fromModel(Note, { where: { shelf: 1 } }))).to.equal(hashes[0])
  })

  describe('joined by fromSources', () => {
    const joined = () =>
      fromSources({
        a: fromModel(Note, { where: { shelf: 0 } }),
        none: fromModel(Note, { where: { shelf: 9 } }),
        'b-2': fromModel(Note, { where: { shelf: 1 }, id: 'slug', routing: 'tenant' } as FromModelOptions),
        c: fromQuery({ table: 'notes', query: 'SELECT n.* FROM notes n JOIN keys USING (id) WHERE n.shelf = 2' }),
      })
    const keysOf = async (sql: string) => (await db.query<{ key: string }>(sql)).map((each) => each.key)
    const wanted = async () => [
      ...await keysOf(`SELECT 'a:' || id AS key FROM notes WHERE shelf = 0 ORDER BY id`),
      ...await keysOf(
        `SELECT 'b-2:' || tenant_id || ',' || replace(replace(slug, '\\', '\\\\'), ',', '\\,') AS key
         FROM notes WHERE shelf = 1 ORDER BY slug`,
      ),
      ...await keysOf(`SELECT 'c:' || id AS key FROM notes WHERE shelf = 2 ORDER BY id`),
    ]

    it('are read one after the other, with names before their keys', async () => {
      const source = joined()
      expect([...(await readAll(source, db, 3)).keys()]).to.deep.equal(await wanted())
      expect(await source.count(db)).to.equal(20)
    })

    it('give all within the bounds that they are cut at', async () => {
      const source = joined()
      for (const parts of [2, 4, 7, 12]) {
        const cuts = await source.split(db, parts)
        expect(cuts.length).to.be.lessThan(parts)
        const bounds = [null, ...cuts, null]
        const found: string[] = []
        for (const [at, after] of bounds.slice(0, -1).entries()) {
          found.push(...(await readAll(source, db, 2, { after, upTo: bounds[at + 1]! })).keys())
        }
        expect(found, `${parts} parts at ${cuts.join(' ')}`).to.deep.equal(await wanted())
      }
    })

    it('are found by their keys, with their routing', async () => {
      const source = joined()
      const keys = await wanted()
      const read = await source.byKeys(db, [...keys, 'a:99', 'z:1', '1', 'b-2'], '3')
      expect([...read.keys].sort()).to.deep.equal([...keys].sort())
      expect([...parsed(read).keys()]).to.deep.equal(read.keys)
      const routings = read.body.split('\n').filter((line) => line.startsWith('{"index"')).map((line) => {
        const { _id, routing } = (JSON.parse(line) as { index: { _id: string; routing?: string } }).index
        return [_id, routing]
      })
      expect(routings).to.deep.equal(read.keys.map((key) => [key, source.routing!(key)]))
      expect(routings.filter(([, routing]) => routing)).to.have.length(7)
    })

    it('choose rows of every part by when they were changed or by a condition, in pages', async () => {
      await db.query('ALTER TABLE notes ADD COLUMN IF NOT EXISTS changed timestamptz')
      await db.query(`UPDATE notes SET changed = '2026-01-01Z'::timestamptz + id * interval '1 day'`)
      const Dated = world.sequelize.define('Dated', {
        shelf: DataTypes.INTEGER,
        changed: DataTypes.DATE,
      }, { tableName: 'notes', timestamps: false })
      const source = fromSources({
        a: fromModel(Dated, { where: { shelf: 0 }, updatedAt: 'changed' } as FromModelOptions),
        b: fromModel(Dated, { where: { shelf: 9 }, updatedAt: 'changed' } as FromModelOptions),
      })
      expect(source.knowsChanges).to.equal(true)
      expect(fromSources({ a: source, n: fromModel(Note) }).knowsChanges).to.equal(false)
      const choice = { since: '2026-01-18T00:00:00Z', where: { shelf: [0, 1] } }
      const found: string[] = []
      for (let after: string | null = null;;) {
        const keys: string[] = await source.keys!(db, choice, after, 2)
        if (keys.length === 0) break
        found.push(...keys)
        after = keys.at(-1)!
      }
      // Also of rows that are no documents: what they were has to be deleted.
      const ids = await keysOf(`SELECT id::text AS key FROM notes WHERE shelf IN (0, 1) AND id >= 17 ORDER BY id`)
      expect(found).to.deep.equal([...ids.map((each) => `a:${each}`), ...ids.map((each) => `b:${each}`)])
      expect(await source.making!(db)).to.be.a('string')
      expect(await fromSources({ a: fromModel(Dated, { document: (row) => row }) }).making!(db)).to.equal(undefined)
    })

    it('may be joined themselves', async () => {
      const source = fromSources({ x: joined(), y: fromModel(Note) })
      const all = [...(await readAll(source, db, 4)).keys()]
      expect(all.slice(0, 20)).to.deep.equal((await wanted()).map((each) => `x:${each}`))
      expect((await source.byKeys(db, all, '1')).count).to.equal(40)
      expect(source.routing!(all.find((each) => each.startsWith('x:b-2:'))!)).to.match(/^t"/)
      expect(source.parts).to.have.length(5)
      const prefixes = (await source.dependencies(db)).map((each) => each.prefix)
      expect(prefixes).to.deep.equal(['x:a:', 'x:none:', 'x:b-2:', 'x:c:', 'y:'])
    })

    it('refuses what is no source, no name, or nothing', () => {
      for (const given of [{ a: {} }, { 'a:b': fromModel(Note) }, { '': fromModel(Note) }, {}, undefined]) {
        expect(() => fromSources(given as never)).to.throw(ElasticUmzugError, /fromSources\(\) is wrong/)
      }
    })
  })

  it('fail a page with the part that is refused', async () => {
    const error = await rejection(() =>
      fromSources({ a: fromModel(Note), b: fromModel(Note, { id: 'shelf' } as FromModelOptions) }).page(
        db,
        { after: 'b', upTo: null },
        large,
        '1',
      )
    )
    expect(error.message).to.contain('no unique index')
  })
})
