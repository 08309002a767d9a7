import { expect } from 'chai'
import { Sequelize } from 'sequelize'
import { type App, failureOf, migrationApp } from '../support/migrations.ts'

const create = (table: string) =>
  `queryInterface.createTable('${table}', { id: { type: Sequelize.INTEGER, primaryKey: true } })`

/** One file of each style, each making the table of its own name. */
const styles: Record<string, string> = {
  '01-umzug.cjs': `
exports.up = async ({ context, name, path }) => {
  if (name !== '01-umzug.cjs' || !path.endsWith(name)) throw new Error(name + path)
  if (context.elastic.marker !== 'elastic' || context.data.marker !== 'data') throw new Error('no commands')
  await context.createTable('umzug', { id: { type: context.sequelize.constructor.DataTypes.INTEGER, primaryKey: true } })
}
exports.down = async ({ context: queryInterface }) => await queryInterface.dropTable('umzug')`,
  '02-cli.cjs': `
module.exports = {
  async up(queryInterface, Sequelize) { await ${create('cli')}; await this.helper(queryInterface) },
  async helper(queryInterface) { await queryInterface.addColumn('cli', 'extra', 'text') },
  down: (queryInterface) => queryInterface.dropTable('cli'),
}`,
  '03-one-parameter.cjs': `module.exports.up = async (queryInterface) =>
  await queryInterface.sequelize.query('CREATE TABLE one_parameter (id int)')`,
  '04-no-parameter.cjs': `const { Sequelize } = require('sequelize')
module.exports.up = async () => {
  const sequelize = new Sequelize(process.env.SPEC_DATABASE_URL, { logging: false })
  await sequelize.query('CREATE TABLE no_parameter (id int)')
  await sequelize.close()
}`,
  '05-default.mjs': `export default {
  up: async (queryInterface, Sequelize) => await ${create('default_export')},
  down: async ({ context }) => await context.dropTable('default_export'),
}`,
  '06-named.mjs':
    `export async function up({ context: { sequelize } }) { await sequelize.query('CREATE TABLE named (id int)') }`,
  '07-instance.cjs': `class Migration {
  table = 'instance'
  async up(queryInterface, Sequelize) { await queryInterface.createTable(this.table, { id: Sequelize.DataTypes.INTEGER }) }
  async down(queryInterface) { await queryInterface.dropTable(this.table) }
}
module.exports = new Migration()`,
  '08-promises.cjs': `module.exports.up = (queryInterface, Sequelize) => Promise.all([
  ${create('all_one')}, ${create('all_two')}, queryInterface.sequelize.query('CREATE TABLE all_three (id int)')])`,
  '09-outside.cjs':
    `module.exports.up = async (queryInterface, Sequelize) => await queryInterface.sequelize.transaction(async (transaction) => {
  await queryInterface.createTable('inside', { id: Sequelize.INTEGER }, { transaction })
  await queryInterface.createTable('outside', { id: Sequelize.INTEGER })
})`,
  '10-child.cjs': `const { execFileSync } = require('node:child_process')
module.exports.up = async (queryInterface) => {
  const said = execFileSync(process.execPath, process.env.SPEC_DENO ? ['eval', 'console.log("child")'] : ['-p', '"child"'], { encoding: 'utf8' })
  await queryInterface.sequelize.query('CREATE TABLE ' + said.trim() + ' (id int)')
}`,
  '11-types.ts': `import type { QueryInterface } from 'sequelize'
interface Argument { context: QueryInterface }
export const up = async ({ context }: Argument): Promise<void> => void await context.sequelize.query('CREATE TABLE types (id int)')`,
  '12-types.mts':
    `export const up = async ({ context }: { context: any }) => await context.sequelize.query('CREATE TABLE types_mts (id int)')`,
  '13-types.cts':
    `exports.up = async (queryInterface: any) => await queryInterface.sequelize.query('CREATE TABLE types_cts (id int)')`,
  '14-plain.sql': `CREATE TABLE plain (id int, note text);
INSERT INTO plain VALUES (1, ':name ? $1 ?| \\\\ it''s');
CREATE FUNCTION plain_note() RETURNS text LANGUAGE plpgsql AS $body$ BEGIN RETURN (SELECT note || ' :body $2' FROM plain); END $body$;`,
  '14-plain.down.sql': `DROP FUNCTION plain_note(); DROP TABLE plain;`,
  '15-concurrently.sql': `CREATE INDEX CONCURRENTLY plain_id ON plain (id);`,
  'down/15-concurrently.sql': `DROP INDEX CONCURRENTLY plain_id`,
  '16-transaction.sql':
    `BEGIN; CREATE TABLE in_transaction (id int); SET LOCAL lock_timeout = 1; SET statement_timeout = 12345; COMMIT;`,
  '17-model.cjs': `const { Sequelize, DataTypes } = require('sequelize')
module.exports.up = async (queryInterface) => {
  await queryInterface.sequelize.query('CREATE TABLE books (id serial PRIMARY KEY, title text)')
  const own = new Sequelize(process.env.SPEC_DATABASE_URL, { logging: false })
  const Book = own.define('book', { title: DataTypes.TEXT }, { tableName: 'books', timestamps: false })
  await Book.create({ title: 'own pool' })
  await own.close()
}`,
  // It stays on: those after it, and our own statements between them, run under it.
  '18-cls.cjs': `const store = new (require('node:async_hooks').AsyncLocalStorage)()
const namespace = {
  get: (key) => store.getStore()?.get(key),
  set: (key, value) => store.getStore()?.set(key, value),
  run: (work) => store.run(new Map(), work),
  bind: (work) => work,
}
module.exports.up = async (queryInterface, Sequelize) => {
  Sequelize.useCLS(namespace)
  await queryInterface.sequelize.transaction(async () => await queryInterface.createTable('cls', { id: Sequelize.INTEGER }))
}`,
  '19-event-trigger.sql': `CREATE TABLE ddl_log (tag text);
CREATE FUNCTION log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ddl_log VALUES (tg_tag); END $$;
CREATE EVENT TRIGGER log_ddl ON ddl_command_end EXECUTE FUNCTION log_ddl();`,
  '20-after-trigger.cjs':
    `exports.up = async ({ context }) => await context.sequelize.query('CREATE TABLE seen (id int)')`,
  'README.md': '# not a migration',
  '11-types.d.ts': 'export {}',
  '11-types.js.map': '{}',
}

const migrationNames = Object.keys(styles).filter((each) => /^\d\d-[\w-]+\.([cm]?[jt]s|sql)$/.test(each))

describe('migration files', () => {
  let app: App
  before(async () => {
    const files = Object.entries(styles).map(([name, text]) => [`migrations/${name}`, text])
    app = await migrationApp(Object.fromEntries(files) as Record<string, string>)
    process.env.SPEC_DATABASE_URL = app.databaseUrl
    if ('Deno' in globalThis) process.env.SPEC_DENO = '1'
  })
  after(async () => {
    delete (Sequelize as unknown as { _cls?: unknown })._cls
    await app?.drop()
  })

  it('of every style are pending in order, and nothing else is', async () => {
    expect((await app.runner().pending()).map((each) => each.name)).to.deep.equal(migrationNames)
  })

  it('of every style run', async () => {
    await app.runner().up()
    expect(await app.history()).to.deep.equal(migrationNames)
    const tables = await app.rows(
      `SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
    )
    expect(tables.map((each) => each.name)).to.include.members([
      'umzug',
      'cli',
      'one_parameter',
      'no_parameter',
      'default_export',
      'named',
      'instance',
      'all_one',
      'all_two',
      'all_three',
      'inside',
      'outside',
      'child',
      'types',
      'types_mts',
      'types_cts',
      'plain',
      'in_transaction',
      'books',
      'cls',
      'seen',
    ])
  })

  it('in SQL are sent untouched', async () => {
    expect(await app.rows('SELECT plain_note() AS note')).to.deep.equal([{
      note: String.raw`:name ? $1 ?| \\ it's :body $2`,
    }])
    expect(await app.rows(`SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = 'plain_id'::regclass`)).to.deep
      .equal([{ valid: true }])
  })

  it('in SQL leave no setting behind in the pool', async () => {
    for (const each of [1, 2, 3]) {
      expect((await app.rows(`SELECT current_setting('statement_timeout') AS t, ${each}`))[0]!.t).to.equal('0')
    }
  })

  it('see what those before them left, from their first line on', async () => {
    const late = await migrationApp({
      'package.json': '{}',
      'migrations/1-writes.js':
        `exports.up = () => require('node:fs').writeFileSync(__dirname + '/../made.cjs', 'module.exports = 1')`,
      'migrations/2-reads.js': `require('../made.cjs'); exports.up = () => {}`,
    })
    try {
      expect(await late.runner().up()).to.have.length(2)
    } finally {
      await late.drop()
    }
  })

  it('run once', async () => {
    expect(await app.runner().up()).to.deep.equal([])
  })

  it('go down in every style', async () => {
    const reverted = await app.runner().down({ to: 0 })
    expect(reverted.map((each) => each.name)).to.deep.equal([...migrationNames].reverse())
    expect(await app.history()).to.deep.equal([])
    const left = await app.rows(
      `SELECT relname AS name FROM pg_class WHERE relname IN ('umzug', 'cli', 'default_export', 'instance', 'plain', 'plain_id')`,
    )
    expect(left).to.deep.equal([])
    expect(app.lines).to.include('18-cls.cjs has no down: only its record is removed')
  })
})

describe('a migration that cannot be used', () => {
  let app: App
  afterEach(() => app?.drop())

  it('has no up: it is named, and nothing of it is done', async () => {
    app = await migrationApp({
      'migrations/1-good.sql': 'CREATE TABLE good (id int)',
      'migrations/2-none.cjs': 'exports.sideways = 1',
    })
    const error = await failureOf(app.runner().up())
    expect(error.code).to.equal('MIGRATION_INVALID')
    expect(error.message).to.match(/2-none\.cjs has no `up` function/)
    expect(await app.history()).to.deep.equal(['1-good.sql'])
  })

  it('does not load: it is named, with the reason', async () => {
    app = await migrationApp({ 'migrations/1-broken.cjs': `require('./nowhere.cjs')` })
    const error = await failureOf(app.runner().up())
    expect(error.code).to.equal('MIGRATION_INVALID')
    expect(error.message).to.match(/1-broken\.cjs could not be loaded: .*nowhere\.cjs/)
  })

  it('is there as source and as built: both are named', async () => {
    app = await migrationApp({
      'migrations/1-a.ts': 'export const up = () => {}',
      'migrations/1-a.js': 'export const up = () => {}',
    })
    const error = await failureOf(app.runner().pending())
    expect(error.code).to.equal('MIGRATION_INVALID')
    expect(error.message).to.match(/1-a is there twice: .*1-a\.js and .*1-a\.ts/)
  })

  it('leaves its SQL transaction open: it is refused and rolled back', async () => {
    app = await migrationApp({ 'migrations/1-open.sql': 'BEGIN; CREATE TABLE half (id int);' })
    const error = await failureOf(app.runner().up())
    expect(error.code).to.equal('MIGRATION_INVALID')
    expect(error.message).to.match(/1-open\.sql leaves its transaction open/)
    expect(await app.rows(`SELECT to_regclass('half') AS found`)).to.deep.equal([{ found: null }])
  })

  it('throws: file, reason, place, what went before and the next step are told', async () => {
    app = await migrationApp({
      'migrations/1-good.sql': 'CREATE TABLE good (id int PRIMARY KEY); INSERT INTO good VALUES (1)',
      'migrations/2-bad.sql': 'CREATE TABLE half (id int);\n\nINSERT INTO good VALUES (1);',
    })
    const error = await failureOf(app.runner().up())
    expect(error.code).to.equal('MIGRATION_FAILED')
    expect(error.message).to.match(/2-bad\.sql: duplicate key value.*; detail: Key \(id\)=\(1\) already exists/)
    expect(error.message).to.contain('Before it applied: 1-good.sql.').and.contain('not recorded as executed')
    expect(error.next).to.contain('npx umzug up')
    expect((error.cause as { code: string }).code).to.equal('23505')
    expect(await app.history()).to.deep.equal(['1-good.sql'])
    expect(await app.rows(`SELECT to_regclass('half') AS found`)).to.deep.equal([{ found: null }])
    await app.write('migrations/2-bad.sql', 'CREATE TABLE half (id int);\nSELEKT 1;')
    expect((await failureOf(app.runner().up())).message).to.contain(
      'syntax error at or near "SELEKT"; at line 2, column 1',
    )
    await app.write('migrations/2-bad.sql', 'CREATE TABLE half (id int)')
    await app.runner().up()
    expect(await app.history()).to.deep.equal(['1-good.sql', '2-bad.sql'])
  })

  it('throws from Sequelize, a plain value, or a secret: the reason is told without the secret', async () => {
    app = await migrationApp({})
    const thrown = async (body: string) => {
      await app.drop()
      app = await migrationApp({ 'migrations/1.cjs': `exports.up = async ({ context }) => { ${body} }` })
      return (await failureOf(app.runner().up())).message
    }
    expect(await thrown(`await context.bulkInsert('nowhere', [{ a: 1 }])`)).to.match(
      /relation "nowhere" does not exist; at line 1, column 13/,
    )
    expect(await thrown(`throw 'plain'`)).to.contain('it threw plain')
    expect(await thrown(`throw undefined`)).to.contain('it threw undefined')
    expect(await thrown(`throw new Error('no postgres://user:hunter2@host/db')`)).to.contain(
      'postgres://user:***@host/db',
    )
    expect((await app.rows('SELECT error FROM elastic_umzug.migration_records'))[0]!.error).to.not.contain('hunter2')
  })
})
