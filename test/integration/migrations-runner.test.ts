import { expect } from 'chai'
import { currentRuntime } from '../../adapters/runtime.ts'
import type { Runner } from '../../src/migrations/runner.ts'
import { type App, failureOf, migrationApp } from '../support/migrations.ts'

const table = (name: string) => `CREATE TABLE ${name} (id int)`
const four = {
  'migrations/1-a.sql': table('a'),
  'migrations/1-a.down.sql': 'DROP TABLE a',
  'migrations/2-b.sql': table('b'),
  'migrations/2-b.down.sql': 'DROP TABLE b',
  'migrations/3-c.sql': table('c'),
  'migrations/3-c.down.sql': 'DROP TABLE c',
  'migrations/4-d.sql': table('d'),
  'migrations/4-d.down.sql': 'DROP TABLE d',
}
const all = ['1-a.sql', '2-b.sql', '3-c.sql', '4-d.sql']
const named = async (found: Promise<{ name: string }[]>) => (await found).map((each) => each.name)

describe('the runner', () => {
  let app: App
  const start = async (files: Record<string, string> = four) => app = await migrationApp(files)
  afterEach(() => app?.drop())

  it('takes the options of Umzug, names with or without extension', async () => {
    const runner = (await start()).runner()
    expect(await named(runner.up({ to: '2-b' }))).to.deep.equal(all.slice(0, 2))
    expect(await named(runner.up({ step: 1 }))).to.deep.equal(['3-c.sql'])
    expect(await named(runner.up({ migrations: ['4-d'] }))).to.deep.equal(['4-d.sql'])
    expect(await named(runner.down())).to.deep.equal(['4-d.sql'])
    expect(await named(runner.down({ step: 2 }))).to.deep.equal(['3-c.sql', '2-b.sql'])
    expect(await named(runner.up())).to.deep.equal(all.slice(1))
    expect(await named(runner.down({ to: '3-c.sql' }))).to.deep.equal(['4-d.sql', '3-c.sql'])
    expect(await named(runner.down({ migrations: ['1-a'] }))).to.deep.equal(['1-a.sql'])
    expect(await named(runner.up({ migrations: ['1-a', '2-b'], rerun: 'SKIP' }))).to.deep.equal(['1-a.sql'])
    expect(await named(runner.down({ to: 0 }))).to.deep.equal(['2-b.sql', '1-a.sql'])
  })

  it('finds `up` to an executed migration done', async () => {
    const runner = (await start()).runner()
    await runner.up({ to: '2-b' })
    expect(await runner.up({ to: '2-b' })).to.deep.equal([])
    expect(await named(runner.pending())).to.deep.equal(all.slice(2))
  })

  it('refuses names that it does not know or that are done', async () => {
    const runner = (await start()).runner()
    const messageOf = async (work: Promise<unknown>) => {
      const { code, message } = await failureOf(work)
      expect(code).to.equal('MIGRATION_UNKNOWN')
      return message
    }
    expect(await messageOf(runner.up({ to: '9-x' }))).to.contain('"9-x"')
    expect(await messageOf(runner.down({ to: '2-b' }))).to.contain('2-b.sql is not executed')
    await runner.up({ step: 1 })
    expect(await messageOf(runner.up({ migrations: ['1-a'] }))).to.contain('1-a.sql is executed already')
    expect(await messageOf(runner.down({ migrations: ['2-b'] }))).to.contain('2-b.sql is not executed')
  })

  it('tells what it does and emits the events of Umzug', async () => {
    const runner = (await start()).runner()
    const events: string[] = []
    for (const each of ['beforeCommand', 'migrating', 'migrated', 'afterCommand'] as const) {
      runner.on(each, (event) => void events.push(`${each} ${'name' in event ? event.name : event.command}`))
    }
    await runner.up({ step: 1 })
    expect(app.lines[0]).to.equal('migrating 1-a.sql')
    expect(app.lines[1]).to.match(/^migrated 1-a\.sql \(\d+\.\d s\)$/)
    expect(events).to.deep.equal(['beforeCommand up', 'migrating 1-a.sql', 'migrated 1-a.sql', 'afterCommand up'])
  })

  it('runs each migration once when ten start at once', async () => {
    await start({ ...four, 'migrations/5-slow.sql': 'SELECT pg_sleep(0.2); CREATE TABLE slow (id int)' })
    const results = await Promise.all(Array.from({ length: 10 }, () => named(app.runner().up())))
    expect(results.flat().sort()).to.deep.equal([...all, '5-slow.sql'])
    expect(await app.history()).to.deep.equal([...all, '5-slow.sql'])
  })

  it('shows which migration was interrupted, and runs it again', async () => {
    await start()
    await app.runner().up({ step: 2 })
    await app.rows(`INSERT INTO elastic_umzug.migration_records (name, started_at) VALUES ('3-c.sql', now())`)
    app.lines.length = 0
    await app.runner().up()
    expect(app.lines[0]).to.match(/^3-c\.sql was interrupted \(started .*\); it is run again$/)
    expect(await app.history()).to.deep.equal(all)
    app.lines.length = 0
    await app.runner().up()
    expect(app.lines).to.deep.equal([])
  })

  it('keeps start and end of each on record', async () => {
    await start()
    await app.runner().up()
    await app.runner().down()
    const rows = await app.rows(
      `SELECT name, direction, length(checksum) AS length, ended_at >= started_at AS ended, error
      FROM elastic_umzug.migration_records ORDER BY name`,
    )
    const record = (name: string) => ({ name, direction: 'up', length: 64, ended: true, error: null })
    expect(rows).to.deep.equal([...all.slice(0, 3).map(record), {
      ...record('4-d.sql'),
      direction: 'down',
      length: null,
    }])
  })

  it('reports files that are edited, late or archived, each once', async () => {
    await start()
    await app.rows('CREATE TABLE "SequelizeMeta" (name varchar(255) PRIMARY KEY)')
    await app.rows(
      `INSERT INTO "SequelizeMeta" SELECT '0-' || lpad(n::text, 3, '0') || '.js' FROM generate_series(1, 300) n`,
    )
    await app.runner().up({ migrations: ['1-a', '3-c', '4-d'] })
    await app.write('migrations/3-c.sql', '-- edited')
    await app.write('migrations/4-d.sql', table('d').replace('\n', '\r\n'))
    app.lines.length = 0
    expect(await app.runner().report()).to.deep.equal(await app.runner().report())
    await app.runner().up({ step: 0 })
    expect(app.lines.map((each) => each.replace(/\(2.*?\)/, '(when)'))).to.deep.equal([
      '3-c.sql was edited after it was executed (when); the edit is not in the database',
      '2-b.sql is pending although its name comes before 4-d.sql, which is executed',
      '300 executed migrations have no file any more (0-001.js … 0-300.js)',
    ])
  })

  it('goes on reporting an edited file whose rerun failed, until one goes through', async () => {
    await start()
    await app.runner().up({ step: 1 })
    await app.write('migrations/1-a.sql', 'DROP TABLE there_is_no_such_table')
    const rerun: Parameters<Runner['up']>[0] = { migrations: ['1-a'], rerun: 'ALLOW' }
    const error = await failureOf(app.runner().up(rerun))
    expect(error.message).to.contain('1-a.sql').and.contain('It is still recorded as executed.')
    expect(error.next).to.contain('npx umzug up --name 1-a.sql --rerun ALLOW')
    expect(await app.history()).to.deep.equal(['1-a.sql'])
    expect(await app.runner().report()).to.deep.equal([
      '1-a.sql was edited after it was executed; the edit is not in the database',
    ])
    await app.write('migrations/1-a.sql', 'SELECT 1')
    await app.runner().up(rerun)
    expect(await app.runner().report()).to.deep.equal([])
  })

  it('tells which globs match no file, and finds nothing to do', async () => {
    await start()
    expect(await app.runner({ migrations: 'migratons/*.sql' }).up()).to.deep.equal([])
    expect(app.lines).to.deep.equal(['no file matches migratons/*.sql'])
    app.lines.length = 0
    expect(await app.runner({ migrations: { glob: ['*.sql', { cwd: 'no' }] } as never }).up()).to.deep.equal([])
    expect(app.lines).to.deep.equal(['no file matches *.sql'])
    app.lines.length = 0
    expect(await app.runner({ migrations: 'migratons/*.sql' }).pending()).to.deep.equal([])
    expect(await app.runner({ migrations: [] }).up()).to.deep.equal([])
    expect(app.lines).to.deep.equal([])
  })

  it('blames `require` of the config, and no migration, for a module that cannot be loaded', async () => {
    await start({ 'migrations/1-a.cjs': 'exports.up = () => {}', 'broken.cjs': "throw new Error('no compiler')" })
    for (
      const [name, reason] of [['./broken.cjs', 'no compiler'], ['there-is-no-such-module', 'there-is-no-such-module']]
    ) {
      const error = await failureOf(app.runner({ require: [name!] }).up())
      expect(error.code).to.equal('CONFIG_FAILED')
      expect(error.message).to.contain('`require`').and.contain(name!).and.contain(reason!)
      expect(error.message).not.to.contain('1-a.cjs')
    }
    expect(await app.rows('SELECT * FROM elastic_umzug.migration_records')).to.deep.equal([])
  })

  it('stops before the next migration once the run lock is lost', async () => {
    await start()
    const runner = app.runner()
    runner.on('migrated', async () => {
      await app.rows(
        `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      )
      await currentRuntime().clock.sleep(50)
    })
    const error = await failureOf(runner.up())
    expect(error.code).to.equal('RUN_LOCK_LOST')
    expect(await app.history()).to.deep.equal(['1-a.sql'])
    expect(await named(app.runner().up())).to.deep.equal(all.slice(1))
  })

  it('takes whatever Umzug takes as migrations', async () => {
    await start({
      'other/1-x.sql': table('x'),
      'other/2-y.ts': `export const up = ({ context }: any) => context.sequelize.query('${table('y')}')`,
    })
    const mark: string[] = []
    const object = (name: string) => ({
      name,
      up: ({ context }: { context: object }) => void mark.push(`${name} ${'createTable' in context}`),
    })
    expect(await named(app.runner({ migrations: [object('o1'), object('o2')] }).up())).to.deep.equal(['o1', 'o2'])
    expect(mark).to.deep.equal(['o1 true', 'o2 true'])
    expect(await named(app.runner({ migrations: ['other/*.sql', 'other/*.ts'] }).pending())).to.deep.equal([
      '1-x.sql',
      '2-y.ts',
    ])
    expect(await named(app.runner({ migrations: (() => Promise.resolve([object('o3')])) as never }).up())).to.deep
      .equal(['o3'])
    const resolve = ({ name }: { name: string }) => object(name)
    const glob = { glob: ['*', { cwd: 'other', ignore: '*.ts' }], resolve }
    expect(await named(app.runner({ migrations: glob as never }).up())).to.deep.equal(['1-x.sql'])
    expect(mark.at(-1)).to.equal('1-x.sql true')
    expect(await named(app.runner({ migrations: { glob: 'other/*' } as never }).up())).to.deep.equal(['2-y.ts'])
    expect((await failureOf(app.runner({ migrations: [{ name: 'o4' }] }).up())).code).to.equal('MIGRATION_INVALID')
    expect((await failureOf(app.runner({ migrations: 5 as never }).up())).code).to.equal('CONFIG_INVALID')
    expect(await app.runner({ migrations: undefined as never }).up()).to.deep.equal([])
  })

  it('goes on in a script with runAsCLI', async () => {
    const runner = (await start()).runner()
    expect(await runner.runAsCLI(['up', '--step', '2'])).to.equal(true)
    expect(await runner.runAsCLI(['down', '--to', '0'])).to.equal(true)
    expect(app.lines.filter((each) => !each.includes('ing '))).to.have.length(6)
    expect(app.lines).to.include('applied 2 migrations.').and.include('reverted 2 migrations.')
  })

  it('loads what `require` of the config names before the first migration', async () => {
    await start({
      'package.json': '{ "type": "commonjs" }',
      'compiler.cjs': `const Module = require('node:module')
const compile = Module._extensions['.js']
Module._extensions['.js'] = (module, path) => path.includes('migrations')
  ? module._compile(require('node:fs').readFileSync(path, 'utf8').replace('export sql', 'exports.up = (q) => q.sequelize.query'), path)
  : compile(module, path)`,
      'migrations/1-own.js': "export sql('CREATE TABLE own_language (id int)')",
    })
    await app.runner({ require: ['./compiler.cjs'] }).up()
    expect(await app.history()).to.deep.equal(['1-own.js'])
  })
})

describe('create', () => {
  let app: App
  afterEach(() => app?.drop())
  const created = async (runner: Runner, options: Parameters<Runner['create']>[0]) => {
    app.lines.length = 0
    await runner.create(options)
    const [path] = app.lines.map((each) => each.replace('created ', ''))
    return { path: path!.replace(`${app.folder}/`, ''), text: await currentRuntime().readText(path!) }
  }

  it('puts the first file where the glob starts, named as Umzug names', async () => {
    app = await migrationApp({})
    const { path, text } = await created(app.runner({ migrations: 'db/migrations/*.{ts,js}' }), { name: 'first.ts' })
    expect(path).to.match(/^db\/migrations\/\d{4}\.\d\d\.\d\dT\d\d\.\d\d\.\d\d\.first\.ts$/)
    expect(text).to.contain(`export const up: Migration = async ({ context }) => {}`)
  })

  it('names files as those of sequelize-cli that are there', async () => {
    app = await migrationApp({ 'migrations/20240101000000-old.cjs': 'exports.up = () => {}' })
    const { path, text } = await created(app.runner(), { name: 'new.cjs' })
    expect(path).to.match(/^migrations\/20\d{12}-new\.cjs$/)
    expect(text).to.contain('exports.up = async ({ context }) => {}')
  })

  it('writes every template for every extension, and what it writes runs', async () => {
    app = await migrationApp({})
    const runner = app.runner()
    for (const template of ['umzug', 'sql', 'search']) {
      for (const extension of ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs']) {
        await runner.create({
          name: `${template}_${extension}.${extension}`,
          prefix: 'NONE',
          template,
          folder: `${app.folder}/migrations`,
          allowConfusingOrdering: true,
        })
      }
    }
    await runner.create({ name: 'z.sql', prefix: 'NONE' })
    const elastic = await currentRuntime().readText(`${app.folder}/migrations/search_ts.ts`)
    expect(elastic).to.contain(`await context.elastic.update(['books'])`)
    for (const each of await runner.pending()) {
      if (/^(umzug|z)/.test(each.name)) await runner.up({ migrations: [each.name] })
    }
    expect(await app.history()).to.have.length(7)
    expect(await currentRuntime().exists(`${app.folder}/migrations/down/z.sql`)).to.equal(true)
  })

  it('takes templates of the project first', async () => {
    app = await migrationApp({
      'templates/umzug.cjs': 'exports.up = () => {} // ours',
      'templates/special.cjs': '// special',
    })
    const runner = app.runner({ templates: 'templates' })
    expect((await created(runner, { name: 'a.cjs' })).text).to.contain('// ours')
    expect((await created(runner, { name: 'b.cjs', template: 'special' })).text).to.equal('// special')
    expect((await failureOf(runner.create({ name: 'c.cjs', template: 'none' }))).message).to.contain(
      'There is no template "none"',
    )
  })

  it('refuses to overwrite, and tells how Umzug can be made to do what it refuses', async () => {
    app = await migrationApp({ 'migrations/1-a.cjs': 'exports.up = () => {}' })
    const options = { name: '1-a.cjs', prefix: 'NONE', allowConfusingOrdering: true } as const
    expect((await failureOf(app.runner().create(options))).message).to.contain('1-a.cjs exists already')
    const error = await failureOf(app.runner().create({ name: '0.cjs', prefix: 'NONE' }))
    expect(error.code).to.equal('COMMAND_INVALID')
    expect(error.next).to.contain('allowConfusingOrdering')
    expect((await failureOf(app.runner({ migrations: [] }).create({ name: 'a.cjs' }))).next).to.contain('--folder')
  })

  it('takes the template from the command line of a script', async () => {
    app = await migrationApp({})
    expect(await app.runner().runAsCLI(['create', '--name', 'x.mjs', '--template', 'sql'])).to.equal(true)
    const path = app.lines[0]!.replace('created ', '')
    expect(await currentRuntime().readText(path)).to.contain('context.sequelize.query')
  })
})
