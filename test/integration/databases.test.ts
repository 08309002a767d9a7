import { expect } from 'chai'
import { DataTypes, type Model, type ModelStatic, type Sequelize } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/source.ts'
import { type Config, defineIndex, type ElasticUmzug, elasticUmzug } from '../../src/index.ts'
import { joinPlugins } from '../../src/joined.ts'
import { rejection } from '../support/rejection.ts'
import { createWorld, type World } from '../support/world.ts'

describe('several databases', function () {
  this.timeout(60_000)
  let live: World
  let archive: World
  let search: ElasticUmzug
  let models: { Book: ModelStatic<Model>; Letter: ModelStatic<Model> }

  const table = (name: string) => [{
    name: `1-${name}.js`,
    up: ({ context }: { context: { createTable(name: string, columns: object): Promise<void> } }) =>
      context.createTable(name, {
        id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
        title: DataTypes.TEXT,
      }),
    down: ({ context }: { context: { dropTable(name: string): Promise<void> } }) => context.dropTable(name),
  }]
  const define = (sequelize: Sequelize, name: string, tableName: string) =>
    sequelize.define(name, { title: DataTypes.TEXT }, { tableName, timestamps: false })
  const index = (name: string, model: ModelStatic<Model>) =>
    defineIndex({ name, mappings: { properties: { title: { type: 'text' } } }, source: fromModel(model) })
  const config = (changes: Partial<Config> = {}): Config => ({
    sequelize: { live: live.sequelize, archive: archive.sequelize },
    elasticsearch: live.client,
    prefix: live.prefix,
    migrations: { live: table('books'), archive: table('letters') },
    indexes: [index('books', models.Book), index('letters', models.Letter)],
    capture: { Letter: 'triggers', '*': 'hooks' },
    ...changes,
  })
  const titles = async (name: string) => {
    const { hits } = await live.client.search<{ title: string }>({ index: search.alias(name), sort: 'id' })
    return hits.hits.map((each) => each._source!.title)
  }
  const states = async () => (await search.versions.list()).map((each) => `${each.index}@${each.number} ${each.state}`)

  before(async () => {
    ;[live, archive] = await Promise.all([createWorld(), createWorld()])
    models = {
      Book: define(live.sequelize, 'Book', 'books'),
      Letter: define(archive.sequelize, 'Letter', 'letters'),
    }
    search = elasticUmzug(config())
  })
  after(async () => {
    await search.stop()
    await Promise.all([live.drop(), archive.drop()])
  })

  it('are each migrated by their own migrations, and their indexes built', async () => {
    const lines: string[] = []
    const { migrations, indexes } = await search.up({ onLine: (line) => void lines.push(line) })
    expect(migrations).to.deep.equal(['1-books.js', '1-letters.js'])
    expect(indexes.map((each) => `${each.index} ${each.outcome}`)).to.deep.equal([
      'books activated',
      'letters activated',
    ])
    expect(lines.find((each) => each.includes('letters-1: active'))).to.match(/^archive: /)
    const [history] = await archive.sequelize.query('SELECT name FROM "SequelizeMeta"')
    expect(history).to.deep.equal([{ name: '1-letters.js' }])
    expect(await states()).to.deep.equal(['books@1 active', 'letters@1 active'])
    expect((await search.status()).problems).to.deep.equal([])
  })

  it('each bring what is written to their own indexes', async () => {
    await search.start()
    await models.Book.create({ title: 'a book' })
    await archive.sequelize.query(`INSERT INTO letters (title) VALUES ('a letter')`)
    await search.settled()
    expect(await titles('books')).to.deep.equal(['a book'])
    expect(await titles('letters'), 'recorded by its triggers').to.deep.equal(['a letter'])
    expect((await search.queue.status()).map((each) => each.index)).to.deep.equal(['books', 'letters'])
  })

  it('are found by the names of their indexes', async () => {
    const [made] = await search.versions.create(['letters'], { force: true })
    expect(made).to.include({ index: 'letters', number: 2 })
    await search.versions.update(['letters'])
    expect(await states()).to.deep.equal(['books@1 active', 'letters@1 active', 'letters@2 ready'])
    expect((await search.versions.verify(['letters@2', 'books'])).map((each) => each.index))
      .to.deep.equal(['books', 'letters'])
    expect(await rejection(search.versions.activate(['nothing']))).to.include({ code: 'VERSION_UNKNOWN' })
  })

  it('are each asked for what is theirs of the queue', async () => {
    const indexes = async (targets: string[]) => (await search.queue.status({ targets })).map((each) => each.index)
    expect(await indexes(['letters@2'])).to.deep.equal(['letters'])
    expect(await indexes(['books'])).to.deep.equal(['books'])
    expect(await rejection(search.queue.status({ targets: ['nothing'] }))).to.include({ code: 'VERSION_UNKNOWN' })
    for (const [world, key] of [[live, '1'], [archive, '7']] as const) {
      await world.sequelize.query(
        `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change, aborted_at, error, due_at)
         SELECT id, '${key}', 0, clock_timestamp(), 'refused', 'infinity' FROM elastic_umzug.index_versions
         WHERE state = 'active'`,
      )
    }
    const retried = async (options: object) => (await search.queue.retry(options)).map((each) => each.index)
    expect(await retried({ keys: ['7'], dryRun: true })).to.deep.equal(['letters'])
    expect(await retried({ keys: ['7', '1'], dryRun: true })).to.deep.equal(['books', 'letters'])
    expect(await rejection(search.queue.retry({ keys: ['1', '8'] }))).to.include({ code: 'ABORTED_UNKNOWN' })
    expect(await retried({ targets: ['letters'] })).to.deep.equal(['letters'])
    expect(await retried({ reason: 'refused' })).to.deep.equal(['books'])
    await search.settled()
  })

  it('are no strangers to each other', async () => {
    const foreign = (await search.versions.listForeign()).map((each) => each.name)
    expect(foreign.filter((each) => each.startsWith(live.prefix))).to.deep.equal([])
  })

  it('are all verified, also where the first one differs', async () => {
    await live.client.deleteByQuery({ index: search.alias('books'), query: { match_all: {} }, refresh: true })
    await live.client.deleteByQuery({ index: search.alias('letters'), query: { match_all: {} }, refresh: true })
    const error = await rejection(search.versions.verify(['books', 'letters']))
    expect(error).to.include({ code: 'VERIFY_FAILED' })
    expect(error.message).to.match(/books-1: 1 missing[^]*letters-1: 1 missing[^]*next: npx umzug es:verify --repair$/)
    await search.versions.verify([], { repair: true })
  })

  it('apply a migration that is named only where the database is named too', async () => {
    for (const migrate of [{ to: '1-letters.js' }, { migrations: ['1-letters.js'] }]) {
      expect(await rejection(search.up({ migrate }))).to.include({ code: 'COMMAND_INVALID' })
      expect(await rejection(search.planUp({ migrate }))).to.include({ code: 'COMMAND_INVALID' })
    }
    expect((await search.databases.archive!.up({ migrate: { to: '1-letters.js' } })).migrations).to.deep.equal([])
  })

  it('have workers that end together where one cannot work', async () => {
    const strange = elasticUmzug(config({ schema: 'not_there' }))
    const half = joinPlugins([
      { name: 'live', plugin: search.databases.live!, indexes: ['books'] },
      { name: 'archive', plugin: strange.databases.archive!, indexes: ['letters'] },
    ])
    expect(await rejection(half.queue.work(new AbortController().signal))).to.include({ code: 'SCHEMA_MISSING' })
  })

  it('have each a log of their own, whose numbers say whose they are', async () => {
    const log = await search.log()
    expect(log.map((each) => each.id.split('/')[0])).to.include.members(['live', 'archive'])
    const update = log.find((each) => each.action === 'es:update' && each.parentId === null)!
    expect(update.id).to.match(/^archive\//)
    expect((await search.logOf(update.id)).id).to.equal(update.id)
  })

  it('are reverted one by one, by name', async () => {
    const error = await rejection(search.down())
    expect(error).to.include({ code: 'COMMAND_INVALID' })
    expect(error.message).to.include('--database live or --database archive')
    await search.stop()
    expect(await search.databases.archive!.down({})).to.deep.equal(['1-letters.js'])
  })

  it('refuse what belongs to none of them, or to two', () => {
    const stranger = new (live.sequelize.constructor as new (options: object) => Sequelize)({ dialect: 'postgres' })
    const refused: [Partial<Config>, RegExp][] = [
      [
        { indexes: [index('strange', define(stranger, 'Strange', 'strange'))] },
        /index "strange" reads models of no database/,
      ],
      [{ indexes: [{ ...index('books', models.Book), database: 'archive' }] }, /said to be in the database "archive"/],
      [{ sequelize: { one: live.sequelize, two: live.sequelize } }, /one instance under two names/],
      [{ sequelize: { 'a b': live.sequelize } }, /has a database "a b"/],
      [{ sequelize: {} }, /is not a Sequelize instance/],
      [
        { indexes: [index('books', models.Book), index('books', models.Letter)] },
        /Two definitions have the name "books"/,
      ],
    ]
    for (const [changes, message] of refused) expect(() => elasticUmzug(config(changes))).to.throw(message)
  })

  it('refuse a capture of what none of them has', async () => {
    const wrong = elasticUmzug(config({ capture: { Nothing: 'triggers' } }))
    expect(await rejection(wrong.up())).to.include({ code: 'CONFIG_INVALID' })
  })
})
