import { expect } from 'chai'
import pg from 'pg'
import { DataTypes, type Model, type ModelStatic } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { elasticUmzug } from '../../src/compose.ts'
import { defineIndex, type Definition } from '../../src/search/definition.ts'
import type { MigrationArgument } from '../../src/migrations/context.ts'
import type { IndexCommands } from '../../src/commands/indexes.ts'
import type { ElasticUmzug } from '../../src/plugin.ts'
import { createWorld, type World } from '../support/world.ts'

describe('case 16: a deploy whose index was filled before it', function () {
  this.timeout(120_000)
  let world: World
  let Book: ModelStatic<Model>
  const told: string[] = []

  const define = (revision: string): Definition =>
    defineIndex({
      name: 'books',
      revision,
      mappings: { properties: { title: { type: 'keyword' }, code: { type: 'keyword' } } },
      source: fromModel(Book, {
        attributes: ['id', 'title'],
        document: (row) => ({ title: row.get('title'), code: revision }),
      }),
    })
  const code = (revision: string, migrations: object[]): ElasticUmzug =>
    elasticUmzug({
      sequelize: world.sequelize,
      elasticsearch: world.client,
      indexes: [define(revision)],
      prefix: world.prefix,
      pollMs: 25,
      leaseMs: 2_000,
      migrations,
    })
  const first = {
    name: '01-books',
    async up({ context }: MigrationArgument<IndexCommands>) {
      await context.createTable('books', {
        id: { type: DataTypes.INTEGER, primaryKey: true },
        title: DataTypes.TEXT,
        createdAt: DataTypes.DATE,
        updatedAt: DataTypes.DATE,
      })
    },
  }
  const second = {
    name: '02-search',
    async up({ context }: MigrationArgument<IndexCommands>) {
      const [created] = await context.elastic.create(['books'])
      await context.elastic.update(['books'], { since: 'last' })
      await context.elastic.activate(['books'])
      told.push(`created ${created!.number}`)
    },
  }
  const documents = async (index: string) => {
    await world.client.indices.refresh({ index })
    const found = await world.client.search<{ title: string; code: string }>({ index, size: 100, sort: 'title' })
    return found.hits.hits.map(({ _source }) => `${_source!.title} ${_source!.code}`)
  }

  before(async () => {
    world = await createWorld()
    Book = world.sequelize.define('Book', {
      id: { type: DataTypes.INTEGER, primaryKey: true },
      title: DataTypes.TEXT,
    }, { tableName: 'books' })
  })
  const running: ElasticUmzug[] = []
  after(async () => {
    for (const each of running) await each.stop()
    await world.drop()
  })

  it('a migration creates nothing, updates what changed since, activates; later writes go to the new version', async () => {
    const old = code('old', [first])
    running.push(old)
    await old.up()
    await old.start()
    await Book.bulkCreate([{ id: 1, title: 'a' }, { id: 2, title: 'b' }, { id: 3, title: 'c' }])
    await old.settled()
    // Before the deploy, from a machine with the new code: the old version serves.
    const fresh = code('new', [first, second])
    running.push(fresh)
    await fresh.versions.create()
    await fresh.versions.update()
    const alias = `${world.prefix}books`
    expect(await documents(alias)).to.deep.equal(['a old', 'b old', 'c old'])
    expect(await documents(`${alias}-2`)).to.deep.equal(['a new', 'b new', 'c new'])
    // The old code goes on writing, and somebody writes what nobody captures.
    await Book.update({ title: 'bb' }, { where: { id: 2 } })
    await Book.destroy({ where: { id: 1 } })
    const other = new pg.Client({ connectionString: world.databaseUrl })
    await other.connect()
    await other.query(`UPDATE books SET title = 'cc', "updatedAt" = now() WHERE id = 3`).finally(() => other.end())
    await old.settled()
    const { migrations } = await fresh.up({ onLine: (line) => void told.push(line) })
    expect(migrations).to.deep.equal(['02-search'])
    expect(told).to.include('created 2')
    expect(told.join('\n')).to.include(`${alias}-2: ready, the definition did not change`)
      .and.match(/books-2: rows changed since /).and.match(/updating \d+ rows/)
    expect(await documents(alias)).to.deep.equal(['bb new', 'cc new'])
    const [up] = await fresh.log({ command: 'up', limit: 1 })
    const { parts } = await fresh.logOf(up!.id)
    expect(parts.map(({ action, target, state }) => ({ action, target, state }))).to.deep.equal([
      { action: 'es:update', target: `${alias}-2`, state: 'complete' },
    ])
    await old.stop()
    await fresh.start()
    await Book.create({ id: 4, title: 'd' })
    await fresh.settled()
    expect(await documents(alias)).to.deep.equal(['bb new', 'cc new', 'd new'])
    await fresh.stop()
  })
})
