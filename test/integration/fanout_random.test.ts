import { expect } from 'chai'
import { type IncludeOptions, type Model, type ModelStatic, Op } from 'sequelize'
import { installCapture } from '../../adapters/sequelize/capture.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel, type FromModelOptions, type SequelizeSource } from '../../adapters/sequelize/index.ts'
import { attributesOf, tableOf } from '../../adapters/sequelize/tables.ts'
import type { Db } from '../../src/ports.ts'
import { dispatch } from '../../src/queue/changes.ts'
import type { Definition } from '../../src/search/definition.ts'
import { applySchema } from '../../src/store/schema.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import {
  type AnyModel,
  type Bookshop,
  fillBookshop,
  openBookshop,
  pick,
  type Random,
  randomFrom,
} from '../support/bookshop.ts'
import { readAll } from '../support/both-ways.ts'
import { changeSomething } from '../support/random-changes.ts'
import { randomOptions } from '../support/random-options.ts'
import { createWorld, type World } from '../support/world.ts'

describe('random changes of every table a document reads', () => {
  let world: World
  let db: Db
  let store: Store
  let shop: Bookshop
  const ways = new Set<string>()

  before(async () => {
    world = await createWorld()
    db = fromSequelize(world.sequelize)
    store = openStore(db, 'elastic_umzug')
    await applySchema(store)
    shop = await openBookshop(world.sequelize)
    await fillBookshop(shop, randomFrom(11), 12)
    await db.query(`INSERT INTO elastic_umzug.indexes (prefix, name) VALUES ('', 'it')`)
    shop.Book.addScope('dear', { where: { price: { [Op.gt]: 0 } } })
    shop.Author.addScope('young', { where: { born: { [Op.ne]: null } }, include: ['country'] })
  })
  after(() => world.drop())

  // What random options leave out: separate queries, deleted rows, scopes of the model and of includes.
  function loosen(random: Random, { include, ...rest }: FromModelOptions, model: AnyModel): FromModelOptions {
    const all = (include ?? []) as IncludeOptions[]
    return all.length === 0
      ? rest
      : { ...rest, include: all.map((each) => loosenInclude(random, each, model, rest.attributes === undefined)) }
  }

  function loosenInclude(random: Random, given: IncludeOptions, parent: AnyModel, whole: boolean): IncludeOptions {
    const name = (given.as ?? (given.association as { as?: string }).as ?? given.association) as string
    const { target, associationType } = parent.associations[name]!
    const include = loosen(random, given as FromModelOptions, target) as IncludeOptions
    const scope = target === shop.Book ? 'dear' : target === shop.Author ? 'young' : undefined
    for (const way of ['where', 'required', 'through'] as const) if (include[way] !== undefined) ways.add(way)
    if (random() < 0.2) {
      include.paranoid = false
      ways.add('paranoid')
    }
    if (scope && random() < 0.3) {
      const { association: _, ...others } = include
      ways.add('scope')
      return { ...others, model: target.scope(scope) as ModelStatic<Model>, as: name }
    }
    // Sequelize cannot put separate rows together by a key that is not selected.
    if (associationType === 'HasMany' && whole && random() < 0.5) {
      const { required: _, attributes: __, ...others } = include
      ways.add('separate')
      return { ...others, separate: true }
    }
    return include
  }

  async function register(source: SequelizeSource): Promise<() => void> {
    await db.query('DELETE FROM elastic_umzug.index_versions')
    await db.query(
      `INSERT INTO elastic_umzug.index_versions (index_id, number, physical, hash, definition, dependencies, state, revision)
       SELECT id, 1, 'it-1', '', '{}', $1::jsonb, 'active', 1 FROM elastic_umzug.indexes`,
      [JSON.stringify(await source.dependencies(db))],
    )
    const definition = { name: 'it', mappings: {}, hash: '', source } as Definition
    return installCapture({
      sequelize: world.sequelize,
      definitions: [definition],
      schema: 'elastic_umzug',
      wake() {},
    })
  }

  async function enqueued(): Promise<string[]> {
    while (await dispatch(store) > 0);
    const rows = await db.query<{ key: string }>('DELETE FROM elastic_umzug.pending RETURNING key')
    return rows.map((each) => each.key)
  }

  // The statement by which Sequelize itself would find everything. Separate rows are joined, for without parents they are not asked for.
  async function askedFor(model: AnyModel, options: IncludeOptions): Promise<string> {
    let text = ''
    await model.findAll({ ...joined(options), logging: (sql: string) => text += sql } as never)
    return text
  }

  function joined({ order: _, separate: __, include, ...rest }: IncludeOptions): object {
    return include ? { ...rest, include: (include as IncludeOptions[]).map((each) => joined(each)) } : rest
  }

  // The shop as far as a source reads it, by whatever models.
  function readModels({ tables }: SequelizeSource): Bookshop {
    const read = Object.entries(shop).filter(([, model]) =>
      tables.some(({ schema, name }) => {
        const own = tableOf(model as AnyModel)
        return own.schema === schema && own.name === name
      })
    )
    return Object.assign(Object.create(shop), Object.fromEntries(read)) as Bookshop
  }

  // Columns of their own, that neither identify nor join.
  function columnsOf(read: Bookshop): { model: AnyModel; name: string; field: string }[] {
    return (Object.values(read) as AnyModel[]).flatMap((model) =>
      Object.entries(attributesOf(model))
        .filter(([name, { references, primaryKey }]) => !references && !primaryKey && !/code/i.test(name))
        .map(([name, { field }]) => ({ model, name, field }))
    )
  }

  function valueOf(random: Random, model: AnyModel, name: string): unknown {
    const kind = (attributesOf(model)[name]!.type as { key?: string }).key ?? ''
    return ({
      BOOLEAN: random() < 0.5,
      INTEGER: Math.floor(random() * 1_000),
      DECIMAL: '7.50',
      DATE: new Date(7e11 + Math.floor(random() * 1e10)),
      JSONB: { n: random() },
    } as Record<string, unknown>)[kind] ?? `t${random()}`
  }

  it('enqueue every document whose content changed, and a column no document reads enqueues none', async () => {
    let different = 0
    const unread = new Set<string>()
    for (let seed = 0; seed <= Number(process.env['SEEDS'] ?? 12); seed++) {
      const random = randomFrom(seed * 13)
      const { Book, Author, Chapter, Category, Tag, Country, Note } = shop
      const chosen = pick(random, [
        Book,
        Book.scope('dear') as AnyModel,
        Author,
        Author.scope('young') as AnyModel,
        Chapter,
        Category,
        Tag,
        Country,
        Note,
      ])
      // Join rows by themselves: random includes seldom show them.
      const [model, options]: [AnyModel, FromModelOptions] = seed === 0
        ? [Book, { include: [{ association: 'tags', through: { attributes: ['weight'] } }] }]
        : [chosen, loosen(random, randomOptions(random, chosen, 3), chosen)]
      const source = fromModel(model, options)
      const stop = await register(source)
      try {
        const read = readModels(source)
        let before = await readAll(source, db, 500)
        for (let step = 0; step < 14; step++) {
          await changeSomething(read, random)
          const after = await readAll(source, db, 500)
          const keys = await enqueued()
          const changed = [...new Set([...before.keys(), ...after.keys()])]
            .filter((key) => JSON.stringify(before.get(key)) !== JSON.stringify(after.get(key)))
          different += changed.length
          expect(changed.filter((key) => !keys.includes(key)), `seed ${seed}, step ${step}: missed`).to.deep.equal([])
          before = after
        }
        const sql = await askedFor(model, options as IncludeOptions)
        for (const { model: changed, name, field } of columnsOf(read)) {
          if (sql.includes(`"${field}"`)) continue
          await changed.update(
            { [name]: valueOf(random, changed, name) },
            { where: {}, paranoid: false, silent: true } as never,
          )
          unread.add(`${changed.name}.${name}`)
          expect(await enqueued(), `seed ${seed}: ${changed.name}.${name} is not read`).to.deep.equal([])
        }
      } finally {
        stop()
      }
    }
    expect(different).to.be.greaterThan(60)
    expect(unread.size).to.be.greaterThan(8)
    expect([...ways]).to.have.members(['where', 'required', 'through', 'paranoid', 'scope', 'separate'])
  })
})
