import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { type QueryInterface, Sequelize } from 'sequelize'
import { SequelizeStorage, Umzug } from 'umzug'
import { type App, failureOf, migrationApp } from '../support/migrations.ts'

const files = {
  'package.json': '{ "type": "commonjs" }',
  'migrations/20240101000000-books.js': `module.exports = {
  up: (queryInterface, Sequelize) => queryInterface.createTable('books', { id: { type: Sequelize.INTEGER, primaryKey: true } }),
  down: (queryInterface) => queryInterface.dropTable('books') }`,
  'migrations/20240102000000-title.js': `module.exports = {
  up: (queryInterface, Sequelize) => queryInterface.addColumn('books', 'title', Sequelize.TEXT),
  down: (queryInterface) => queryInterface.removeColumn('books', 'title') }`,
  'migrations/20240103000000-year.js': `module.exports = {
  up: (queryInterface, Sequelize) => queryInterface.addColumn('books', 'year', Sequelize.INTEGER),
  down: (queryInterface) => queryInterface.removeColumn('books', 'year') }`,
}
const names = Object.keys(files).slice(1).map((each) => each.replace('migrations/', ''))

const cli = fileURLToPath(new URL('../../node_modules/sequelize-cli/lib/sequelize', import.meta.url))

// sequelize-cli is a Node program, whatever runs the specs.
async function sequelizeCli(app: App, ...args: string[]): Promise<string> {
  const node = 'Deno' in globalThis ? 'node' : process.execPath
  const env = { ...process.env, NODE_OPTIONS: '' }
  const { stdout } = await promisify(execFile)(node, [cli, ...args, '--url', app.databaseUrl], { cwd: app.folder, env })
  return stdout
}

describe('the history', () => {
  let app: App
  beforeEach(async () => {
    app = await migrationApp(files)
  })
  afterEach(() => app?.drop())

  it('of sequelize-cli is ours: what it executed is executed', async () => {
    await sequelizeCli(app, 'db:migrate', '--to', names[1]!)
    const runner = app.runner()
    expect((await runner.executed()).map((each) => each.name)).to.deep.equal(names.slice(0, 2))
    expect((await runner.up()).map((each) => each.name)).to.deep.equal(names.slice(2))
    expect(await app.history()).to.deep.equal(names)
  })

  it("of ours is sequelize-cli's: it sees all up, and its undo works", async () => {
    await app.runner().up()
    const status = await sequelizeCli(app, 'db:migrate:status')
    expect(status.match(/^up .*/gm)).to.deep.equal(names.map((each) => `up ${each}`))
    await sequelizeCli(app, 'db:migrate:undo')
    expect(await app.history()).to.deep.equal(names.slice(0, 2))
    expect((await app.runner().pending()).map((each) => each.name)).to.deep.equal(names.slice(2))
    await app.runner().up()
    await sequelizeCli(app, 'db:migrate:undo:all')
    expect(await app.history()).to.deep.equal([])
  })

  it('table is the one that sequelize-cli makes', async () => {
    const other = await migrationApp(files)
    try {
      await sequelizeCli(other, 'db:migrate')
      await app.runner().up()
      const columns =
        `SELECT table_name, column_name, data_type, is_nullable, column_default, character_maximum_length, ordinal_position
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`
      const indexes = `SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2`
      expect(await app.rows(columns)).to.deep.equal(await other.rows(columns))
      expect(await app.rows(indexes)).to.deep.equal(await other.rows(indexes))
    } finally {
      await other.drop()
    }
  })

  it('with timestamps added by sequelize-cli is written with them', async () => {
    await sequelizeCli(app, 'db:migrate', '--to', names[0]!)
    await sequelizeCli(app, 'db:migrate:schema:timestamps:add')
    await app.runner().up()
    expect(
      await app.rows('SELECT count(*)::int AS n FROM "SequelizeMeta" WHERE "createdAt" > now() - interval \'1 hour\''),
    ).to.deep.equal([{ n: 3 }])
    expect((await sequelizeCli(app, 'db:migrate:status')).match(/^up /gm)).to.have.length(3)
  })

  it('of plain Umzug is ours, and ours is its', async () => {
    const require = createRequire(import.meta.url)
    const umzug = new Umzug<QueryInterface>({
      migrations: {
        glob: ['migrations/*.js', { cwd: app.folder }],
        resolve: ({ name, path, context }) => {
          const module = require(path!)
          return {
            name,
            up: () => module.up(context, app.sequelize.constructor),
            down: () => module.down(context, app.sequelize.constructor),
          }
        },
      },
      context: app.sequelize.getQueryInterface(),
      storage: new SequelizeStorage({ sequelize: app.sequelize }),
      logger: undefined,
    })
    await app.runner().up({ step: 1 })
    expect((await umzug.pending()).map((each) => each.name)).to.deep.equal(names.slice(1))
    await umzug.up()
    expect(await app.runner().pending()).to.deep.equal([])
    await app.runner().down()
    expect((await umzug.pending()).map((each) => each.name)).to.deep.equal(names.slice(2))
    await umzug.down({ to: 0 })
    expect((await app.runner().pending()).map((each) => each.name)).to.deep.equal(names)
  })

  it('has names without extension or with another one: they are the same migrations', async () => {
    await app.rows('CREATE TABLE "SequelizeMeta" (name varchar(255) PRIMARY KEY)')
    await app.rows(`INSERT INTO "SequelizeMeta" VALUES ('20240101000000-books.ts'), ('20240102000000-title')`)
    const runner = app.runner()
    expect((await runner.executed()).map((each) => each.name)).to.deep.equal(names.slice(0, 2))
    expect((await runner.pending()).map((each) => each.name)).to.deep.equal(names.slice(2))
    await app.rows('CREATE TABLE books (id int, title text)')
    await runner.up()
    await runner.down({ to: names[1] as string })
    expect(await app.history()).to.deep.equal(['20240101000000-books.ts'])
  })

  it('is read where the config says: name, schema, column', async () => {
    const migrationStorage = { tableName: 'done', schema: 'ops', columnName: 'file' }
    await app.runner({ migrationStorage }).up()
    const rows = await app.rows('SELECT file AS name FROM ops.done ORDER BY 1')
    expect(rows.map((each) => each.name)).to.deep.equal(names)
    expect((await app.runner({ migrationStorage }).executed()).length).to.equal(3)
    const error = await failureOf(
      app.runner({ migrationStorage: { ...migrationStorage, columnName: 'nowhere' } }).pending(),
    )
    expect(error.code).to.equal('CONFIG_INVALID')
    expect(error.message).to.contain('"ops"."done"').and.contain('"nowhere"')
  })

  it('is read without any right to create', async () => {
    const role = `reader_${process.pid}`
    await app.rows(`CREATE ROLE "${role}" LOGIN PASSWORD 'reader'`)
    await app.rows('REVOKE CREATE ON SCHEMA public FROM public')
    const url = Object.assign(new URL(app.databaseUrl), { username: role, password: 'reader' })
    const sequelize = new Sequelize(url.href, { logging: false })
    try {
      const reader = app.runner({ sequelize })
      expect((await reader.pending()).length).to.equal(3)
      expect(await reader.executed()).to.deep.equal([])
      expect(await app.rows(`SELECT to_regclass('"SequelizeMeta"') AS found`)).to.deep.equal([{ found: null }])
      await app.runner().up({ step: 2 })
      await app.rows(`GRANT SELECT ON "SequelizeMeta" TO "${role}"`)
      expect((await reader.executed()).length).to.equal(2)
    } finally {
      await sequelize.close()
      await app.rows(`DROP OWNED BY "${role}"`)
      await app.rows(`DROP ROLE "${role}"`)
    }
  })

  it('runs a migration again when asked, and keeps its one name', async () => {
    const again = '20240104000000-again.sql'
    await app.write(`migrations/${again}`, 'CREATE TABLE IF NOT EXISTS runs (n int); INSERT INTO runs VALUES (1)')
    await app.runner().up()
    await app.runner().up({ migrations: [again], rerun: 'ALLOW' })
    expect(await app.history()).to.deep.equal([...names, again])
    expect(await app.rows('SELECT count(*)::int AS n FROM runs')).to.deep.equal([{ n: 2 }])
  })
})
