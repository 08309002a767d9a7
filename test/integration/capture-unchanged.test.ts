import { expect } from 'chai'
import { type Model, Sequelize } from 'sequelize'
import { installCapture } from '../../adapters/sequelize/capture.ts'
import { createWorld, type World } from '../support/world.ts'
import { operations } from './capture.operations.ts'
import { type App, book, definitionsOf, type Library, openApp, openLibrary } from './capture.world.ts'

// Whatever the caller can see of a result, with times and fresh keys made equal.
function visible(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(visible)
  if (value instanceof Date) return 'date'
  if (typeof value === 'string') {
    return value.replace(
      /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f-]{17}/g,
      (id) => (id.startsWith('00000000') ? id : 'uuid'),
    )
      .replace(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*/g, 'date').replace(/func_[0-9a-f]{32}/g, 'func')
  }
  if (typeof value !== 'object' || value === null) return value
  if ('rowCount' in value && 'command' in value) return { command: value.command, rowCount: value.rowCount }
  const { dataValues, _previousDataValues, isNewRecord } = value as Record<string, unknown>
  if (dataValues === undefined) {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, visible(each)]))
  }
  return {
    values: visible({ ...dataValues as object }),
    previous: visible({ ..._previousDataValues as object }),
    isNewRecord,
    changed: (value as Model).changed(),
  }
}

function visibleError(error: unknown, { withSql }: { withSql: boolean }): unknown {
  const { name, message, sql, parameters, fields, errors, parent, original } = error as Record<string, unknown>
  const { code, detail, sql: parentSql } = (parent ?? {}) as Record<string, unknown>
  return visible({
    name,
    message,
    statement: withSql && [sql, parentSql, parameters],
    fields,
    same: parent === original,
    items: (errors as { message: string; path: string; value: unknown }[] | undefined)?.map((
      { message, path, value },
    ) => [message, path, value]),
    parent: [code, detail],
  })
}

describe('what capture leaves as it was', () => {
  let world: World
  let library: Library
  let captured: App
  let plain: App

  before(async () => {
    world = await createWorld()
    library = openLibrary(world.sequelize)
    await library.prepare()
    captured = openApp(world.databaseUrl, { pool: 1 })
    plain = openApp(world.databaseUrl, { pool: 1, captured: false })
  })
  after(async () => {
    await captured.close()
    await plain.close()
    await world.drop()
  })

  for (const [name, operation] of Object.entries(operations)) {
    it(`the result of ${name}`, async () => {
      const results = []
      for (const app of [plain, captured]) {
        await library.reset()
        results.push([
          visible(await operation(app.models, {})),
          visible([...(await library.snapshot())].map(([table, rows]) => [
            table,
            rows.map((each) => JSON.stringify(visible(each))).sort(),
          ])),
        ])
      }
      expect(results[1]).to.deep.equal(results[0])
    })
  }

  const failures: typeof operations = {
    'a unique key': ({ Author }) => Author.create({ name: 'author 1' }),
    'a unique key in bulk': ({ Author }) => Author.bulkCreate([{ name: 'x' }, { name: 'author 1' }]),
    'a unique key of findOrCreate': ({ Author }) => Author.findOrCreate({ where: { name: 'x' }, defaults: { id: 1 } }),
    'a foreign key': ({ Book }) => Book.create({ authorId: 99 }),
    'a foreign key in an update that moves rows': ({ Book }) =>
      Book.update({ authorId: 99 }, { where: { id: book(1) } }),
    'a text for a number': ({ Author }) =>
      Author.update({ rank: Author.sequelize!.literal("'x'::int") as never }, { where: { id: 1 } }),
    'a column that is not there': ({ Author }) => Author.destroy({ where: { nothing: 1 } as never }),
    'a missing condition': ({ Author }) => Author.destroy({} as never),
  }
  for (const [name, operation] of Object.entries(failures)) {
    it(`the error of ${name}, and no change`, async () => {
      const seen = []
      for (const app of [plain, captured]) {
        await library.reset()
        const before = await library.snapshot()
        const error = await operation(app.models, {}).then(() => undefined, (error) => error)
        expect(error, 'an error').to.not.equal(undefined)
        expect(await library.snapshot()).to.deep.equal(before)
        expect(await library.recorded()).to.deep.equal([])
        // Where rows are locked first, the statement named is one of the several that were really sent.
        seen.push([error.constructor, visibleError(error, { withSql: !/moves rows|not there/.test(name) })])
      }
      expect(seen[1]).to.deep.equal(seen[0])
    })
  }

  it('the number and order of hooks of the application', async () => {
    const seen: string[][] = []
    for (const app of [plain, captured]) {
      await library.reset()
      const calls: string[] = []
      const types = [
        'beforeCreate',
        'afterCreate',
        'beforeUpdate',
        'afterUpdate',
        'beforeDestroy',
        'afterDestroy',
        'beforeBulkCreate',
      ]
      for (
        const type of [
          ...types,
          'afterBulkCreate',
          'beforeBulkUpdate',
          'afterBulkUpdate',
          'beforeBulkDestroy',
          'afterBulkDestroy',
          'beforeUpsert',
          'afterUpsert',
        ]
      ) {
        app.sequelize.addHook(type as 'beforeCreate', 'probe', () => void calls.push(type))
      }
      // While time stands still nothing is asked anew: that would change the order of writes that were started together.
      await app.models.Tag.update({ label: 'x' }, { where: { id: 1 } })
      calls.length = 0
      const now = performance.now()
      const clock = performance.now.bind(performance)
      performance.now = () => now
      try {
        for (const operation of Object.values(operations)) {
          await library.reset()
          await operation(app.models, {})
          calls.push('-')
        }
      } finally {
        performance.now = clock
      }
      seen.push(calls)
    }
    expect(seen[1]).to.deep.equal(seen[0])
    expect(seen[1]).to.include('afterDestroy')
  })

  it('children destroyed by hooks: once each, before the parent, outside any transaction of ours', async () => {
    const app = openApp(world.databaseUrl, { pool: 1 })
    const { Author, Book } = app.models
    Author.hasMany(Book, { as: 'hooked', foreignKey: 'authorId', onDelete: 'CASCADE', hooks: true })
    const seen: unknown[] = []
    Book.addHook('afterDestroy', async (instance: Model) => {
      // With a pool of one this would wait forever inside a transaction that it does not know.
      seen.push([instance.get('id'), await Book.count({ where: { authorId: 1 } })])
    })
    await library.reset()
    await (await Author.findByPk(1))!.destroy()
    expect(seen).to.deep.equal([[book(1), 1], [book(2), 0]])
    const tables = (await library.recorded()).map((each) => each.table_name)
    expect(tables).to.include.members(['public.authors', 'public.books', 'public.book_tags', 'public.reviews'])
    await app.close()
  })

  it('the methods, after uninstall', async () => {
    const sequelize = new Sequelize(world.databaseUrl, { logging: false })
    const queryInterface = sequelize.getQueryInterface() as unknown as Record<string, unknown>
    const names = [
      'insert',
      'upsert',
      'bulkInsert',
      'update',
      'bulkUpdate',
      'delete',
      'bulkDelete',
      'increment',
      'decrement',
    ]
    const before = names.map((name) => [queryInterface[name], Object.hasOwn(queryInterface, name)])
    const options = { sequelize, definitions: definitionsOf(sequelize), schema: 'elastic_umzug', wake: () => {} }
    const [first, second] = [installCapture(options), installCapture({ ...options })]
    expect(names.map((name) => queryInterface[name])).to.not.deep.equal(before.map(([method]) => method))
    first()
    first()
    expect(queryInterface.insert, 'still installed for the second').to.not.equal(before[0]![0])
    second()
    expect(names.map((name) => [queryInterface[name], Object.hasOwn(queryInterface, name)])).to.deep.equal(before)
    await sequelize.close()
  })

  it('the methods that somebody wrapped on top pass everything on after uninstall', async () => {
    const app = openApp(world.databaseUrl, { pool: 1 })
    const queryInterface = app.sequelize.getQueryInterface() as unknown as Record<
      string,
      (...args: unknown[]) => unknown
    >
    const ours = queryInterface.insert!
    let calls = 0
    queryInterface.insert = function (...args) {
      calls++
      return ours.apply(this, args)
    }
    app.uninstall()
    await library.reset()
    await app.models.Tag.create({ label: 'x' })
    expect(calls).to.equal(1)
    expect(await library.recorded()).to.deep.equal([])
    await app.close()
  })

  it('a second install of one schema records once, of another schema is refused', async () => {
    const app = openApp(world.databaseUrl, { pool: 1 })
    const again = { sequelize: app.sequelize, definitions: definitionsOf(app.sequelize), wake: () => {} }
    const uninstall = installCapture({ ...again, schema: 'elastic_umzug' })
    expect(() => installCapture({ ...again, schema: 'other' })).to.throw().with.property('code', 'CONFIG_INVALID')
    await library.reset()
    await app.models.Tag.create({ label: 'x' })
    expect(await library.recorded()).to.have.length(1)
    uninstall()
    app.uninstall()
    await app.close()
  })
})
