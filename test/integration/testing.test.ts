import { Client } from '@elastic/elasticsearch'
import { expect } from 'chai'
import { fileURLToPath } from 'node:url'
import { QueryTypes } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/source.ts'
import { defineIndex, type ElasticUmzug, elasticUmzug } from '../../src/index.ts'
import { type TestKit, testSearch } from '../../src/testing/index.ts'
import { startCli } from '../support/cli.ts'
import { told } from '../support/library.ts'
import { rejection } from '../support/rejection.ts'
import { createWorld, killTree, type Running, waitFor, type World } from '../support/world.ts'
import { type App, appOf } from './testing.world.ts'

interface Suite {
  prefix: string
  schema: string
  titles: string[]
}

describe('the test kit', function () {
  this.timeout(60_000)
  let world: World
  let app: App
  let search: ElasticUmzug
  let kit: TestKit
  const children: Running[] = []

  before(async () => {
    world = await createWorld()
    app = appOf(world.sequelize, world.client)
    await world.sequelize.sync()
    search = elasticUmzug(app.config)
    kit = await testSearch(app.config, { indexes: ['books', 'years'] })
  })
  after(async () => {
    // In good order: nobody would come to remove what they leave, for their database goes too.
    for (const each of children) each.kill('SIGTERM')
    await Promise.all(children.map((each) => each.ended))
    await kit?.stop()
    await world.drop()
  })

  const rows = async <Row extends object>(sql: string): Promise<Row[]> =>
    await world.sequelize.query<Row>(sql, { type: QueryTypes.SELECT })
  const titles = async (name = 'books') => {
    const { hits } = await world.client.search<{ title: string }>({ index: search.alias(name), sort: '_doc' })
    return hits.hits.map((each) => each._source!.title)
  }
  const queued = async () => {
    const counts = ['changes', 'pending'].map((each) =>
      rows<{ n: number }>(`SELECT count(*)::int AS n FROM ${kit.schema}.${each}`)
    )
    return (await Promise.all(counts)).map(([row]) => row!.n)
  }
  // Everything in the cluster and in the database that has the names of a suite.
  const leftOf = async ({ prefix, schema }: Pick<TestKit, 'prefix' | 'schema'>) => {
    const found = await world.client.indices.get({
      index: `${prefix}*`,
      expand_wildcards: 'all',
      features: ['aliases'],
    })
    const { index_templates } = await world.client.indices.getIndexTemplate({ name: `elastic-umzug-${prefix}*` }, {
      ignore: [404],
    })
    const schemas = await rows<{ name: string }>(`SELECT nspname AS name FROM pg_namespace WHERE nspname = '${schema}'`)
    const triggers = await rows<{ name: string }>(
      `SELECT DISTINCT t.tgname AS name FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
       JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = '${schema}'`,
    )
    return [
      ...Object.keys(found),
      ...index_templates.map((each) => each.name),
      ...schemas.map((each) => each.name),
      ...triggers.map((each) => each.name),
    ]
  }
  const start = async (env: Record<string, string>): Promise<{ child: Running; suite: Suite }> => {
    const child = startCli([], {
      program: fileURLToPath(new URL('testing.child.ts', import.meta.url)),
      env: { DATABASE_URL: world.databaseUrl, ELASTICSEARCH_URL: world.elasticsearchUrl, ...env },
    })
    children.push(child)
    let ended = false
    void child.ended.then(() => ended = true)
    await waitFor(() => child.stdout.includes('\n') || ended, { timeoutMs: 40_000 })
    if (ended) throw new Error(told(child))
    return { child, suite: JSON.parse(child.stdout) }
  }

  it('has what models write found under the name that the application asks its own plugin for', async () => {
    await search.start()
    await app.Book.create({ title: 'Emma' })
    await kit.settled()
    expect(search.alias('books')).to.equal(kit.alias('books')).and.to.equal(`${kit.prefix}books`)
    expect(await titles()).to.deep.equal(['Emma'])
  })

  it('makes only the named indexes, each with one shard and no replicas', async () => {
    const found = await world.client.indices.getSettings({ index: `${kit.prefix}*` })
    expect(Object.keys(found).sort()).to.deep.equal([`${kit.prefix}books-1`, `${kit.prefix}years-1`])
    for (const { settings } of Object.values(found)) {
      expect(settings!.index).to.include({ number_of_shards: '1', number_of_replicas: '0', refresh_interval: '100ms' })
    }
  })

  it('clear leaves no document and no change, and what is written after it is found', async () => {
    const book = await app.Book.create({ title: 'Persuasion' })
    await app.Book.bulkCreate(Array.from({ length: 500 }, (_, at) => ({ title: `Volume ${at}` })))
    await kit.clear()
    expect(await queued()).to.deep.equal([0, 0])
    expect(await titles()).to.deep.equal([])
    await book.update({ title: 'Sanditon' })
    await kit.settled()
    expect(await titles()).to.deep.equal(['Sanditon'])
  })

  it('settled tells which document Elasticsearch refused, and why, until it is cleared', async () => {
    await app.Year.create({ title: 'long ago' })
    const error = await rejection(kit.settled())
    expect(error.code).to.equal('DOCUMENT_REFUSED')
    expect(error.message).to.match(/refused document 1 of .*years-1: .*long ago/s)
    await kit.clear()
    await kit.settled()
  })

  it('refuses a second one of the same config while it runs, and an index that is not defined', async () => {
    expect((await rejection(testSearch(app.config))).message).to.include('Another test kit')
    await kit.stop()
    const error = await rejection(testSearch(app.config, { indexes: ['boks'] }))
    expect(error).to.include({ code: 'DEFINITION_UNKNOWN' })
    expect(error.next).to.include('indexes')
  })

  it('leaves nothing where an index cannot be made', async () => {
    const mappings = { properties: { title: { type: 'no such type' } } }
    const broken = defineIndex({ name: 'broken', mappings, source: fromModel(app.Book) })
    const error = await rejection(testSearch({ ...app.config, indexes: [broken] }))
    expect(error.code).to.equal('MAPPING_REFUSED')
    expect(await rows(`SELECT nspname FROM pg_namespace WHERE nspname ~ '^elastic_umzug'`)).to.deep.equal([])
  })

  it('stop leaves nothing in cluster and database, gives the plugin back, and models go on saving', async () => {
    expect(await leftOf(kit)).to.deep.equal([])
    expect(search.alias('books')).to.equal('production-books')
    await app.Book.create({ title: 'after the suite' })
    await kit.stop()
  })

  it('off, models save without search, and neither server is asked', async () => {
    const unreachable = new Client({ node: 'http://127.0.0.1:1' })
    const config = { ...app.config, elasticsearch: unreachable }
    const mine = elasticUmzug(config)
    const off = await testSearch(config, { off: true })
    await mine.start()
    await app.Book.create({ title: 'unsearched' })
    await mine.settled()
    await off.settled()
    await off.clear()
    expect(mine.alias('books')).to.equal(`${off.prefix}books`)
    expect(await mine.versions.create()).to.deep.equal([])
    await off.stop()
    expect(await leftOf(off)).to.deep.equal([])
    const byOption = elasticUmzug(config, { off: true })
    await byOption.start()
    await app.Book.create({ title: 'unsearched too' })
    await byOption.settled()
    expect(await byOption.versions.create()).to.deep.equal([])
    await unreachable.close()
  })

  it('serves a config over several databases, and leaves nothing in any', async () => {
    const archive = await createWorld()
    try {
      const { Year: Letter, config } = appOf(archive.sequelize, world.client)
      await archive.sequelize.sync()
      const sequelize = { live: world.sequelize, archive: archive.sequelize }
      const both = { ...app.config, sequelize, indexes: [app.config.indexes![0]!, config.indexes![1]!] }
      kit = await testSearch(both)
      await Letter.create({ title: '1815' })
      await kit.settled()
      expect((await world.client.count({ index: kit.alias('years') })).count).to.equal(1)
      await kit.clear()
      expect((await world.client.count({ index: `${kit.prefix}*` })).count).to.equal(0)
      await kit.stop()
      expect(await leftOf(kit)).to.deep.equal([])
      const [schemas] = await archive.sequelize.query(`SELECT FROM pg_namespace WHERE nspname ~ '^elastic_umzug'`)
      expect(schemas).to.deep.equal([])
    } finally {
      await kit.stop()
      await archive.drop()
    }
  })

  it('parallel suites on one database and cluster do not disturb each other', async () => {
    await app.Book.destroy({ truncate: true })
    const [one, other] = await Promise.all([start({ TITLE: 'one' }), start({ TITLE: 'other' })])
    expect(one.suite.titles).to.include('one')
    expect(other.suite.titles).to.include('other')
    other.child.kill('SIGTERM')
    expect((await other.child.ended).code).to.equal(0)
    expect(await leftOf(other.suite)).to.deep.equal([])
    expect(await leftOf(one.suite), 'goes on').to.include.members([`${one.suite.prefix}books-1`, one.suite.schema])
  })

  it('what a killed suite has left is removed by the next, and nothing of a living one', async () => {
    const one: Suite = JSON.parse(children.find((each) => each.stdout.includes('"one"'))!.stdout)
    const dead = await start({ TITLE: 'dead', CAPTURE: 'triggers' })
    const before = await leftOf(dead.suite)
    expect(before).to.include.members([`${dead.suite.prefix}books-1`, dead.suite.schema])
    expect(before.filter((each) => /umzug.*(insert|update|delete)/.test(each)), before.join()).to.have.length.above(1)
    await killTree(dead.child)
    const foreign = await makeForeign()
    await kit.stop()
    kit = await testSearch(app.config, { indexes: [] })
    expect(await leftOf(dead.suite)).to.deep.equal([])
    expect(await leftOf(one)).to.include.members([`${one.prefix}books-1`, one.schema])
    const still = await world.client.indices.get({ index: foreign, ignore_unavailable: true, features: ['aliases'] })
    await world.client.indices.delete({ index: foreign.slice(1) })
    expect(Object.keys(still), 'younger than a day').to.deep.equal(foreign.slice(1))
  })

  // Of databases that this one knows nothing of: began two days ago, and an hour ago.
  async function makeForeign(): Promise<string[]> {
    const names = [48, 1].map((hours) => {
      const began = new Date(Date.now() - hours * 3_600_000).toISOString().replaceAll(/\D/g, '').slice(0, 14)
      return `umzug-test-${began}-${world.prefix.slice(1, 9)}-books-1`
    })
    for (const index of names) await world.client.indices.create({ index })
    return names
  }
})
