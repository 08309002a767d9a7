import { execFileSync } from 'node:child_process'
import { expect } from 'chai'
import { currentRuntime } from '../../adapters/runtime.ts'
import { runCli } from '../../src/cli/main.ts'
import { diffLines } from '../../src/cli/diff.ts'
import { planLines } from '../../src/cli/plan.ts'
import { findTag } from '../../src/commands/tag.ts'
import { destructiveIn } from '../../src/migrations/destructive.ts'
import { defineIndex } from '../../src/search/definition.ts'
import { temporaryApp } from '../support/app.ts'
import { type Core, createCore, write } from '../support/core.ts'
import { type PluginChanges, pluginOf } from '../support/plugin.ts'
import { bookMappings, bookSource } from '../support/simple_source.ts'

const books = (properties: object, revision?: string) =>
  defineIndex({
    name: 'books',
    mappings: { ...bookMappings, properties: { ...bookMappings.properties, ...properties } },
    source: bookSource(),
    ...(revision === undefined ? {} : { revision }),
  })

describe('plan and es:diff', function () {
  this.timeout(60_000)
  let core: Core
  let app: Awaited<ReturnType<typeof temporaryApp>>

  before(async () => {
    core = await createCore()
    await write(core, [1, 2, 3].map((id) => ({ id, title: `book ${id}` })))
    app = await temporaryApp({
      'umzug.config.js':
        `import { Sequelize } from 'sequelize'\nexport default { sequelize: new Sequelize('postgres://x') }`,
      'migrations/1-first.sql': 'CREATE TABLE shelves (id int PRIMARY KEY, old text)',
      'migrations/2-second.sql': 'ALTER TABLE shelves DROP COLUMN old; DROP TABLE IF EXISTS attic; TRUNCATE shelves',
    })
  })
  after(async () => {
    await core.drop()
    await app.remove()
  })

  const plugin = (definition = books({}), config: NonNullable<PluginChanges['config']> = {}) =>
    pluginOf(core, { config: { indexes: [definition], ...config } })

  it('before the first up: everything, in order, with what is destructive', async () => {
    const migrations = `${app.folder}/migrations/*.sql`
    const plan = await plugin(books({}), { migrations, schema: 'other_tables' }).plan()
    expect(plan.todo).to.equal(true)
    expect(plan.sections.map((each) => `${each.name} ${each.steps.length}`)).to.deep.equal([
      'own tables 1',
      'SQL migrations 2',
      'triggers 0',
      'search indexes 1',
      'dropped versions 0',
    ])
    expect(planLines(plan)).to.deep.equal([
      'own tables:',
      '  schema other_tables: would be created',
      'SQL migrations:',
      '  1-first.sql: would be applied',
      '  2-second.sql: would be applied',
      '    takes away: drops column old of shelves',
      '    takes away: drops table attic',
      '    takes away: empties shelves',
      'search indexes:',
      `  a new version of ${core.world.prefix}books: would be created, populated, activated`,
    ])
    const found = await core.sql(`SELECT to_regnamespace('other_tables') IS NULL AS none`)
    expect(found).to.deep.equal([{ none: true }])
  })

  it('reads what SQL takes away, and says nothing of what it cannot read', async () => {
    expect(await destructiveIn('ALTER TABLE a RENAME COLUMN b TO c')).to.deep.equal(['renames column of a to c'])
    expect(await destructiveIn('DELETE FROM s.a')).to.deep.equal(['deletes rows of a'])
    expect(await destructiveIn('CREATE TABLE drop_off (id int)')).to.deep.equal([])
    expect(await destructiveIn('DROP nonsense ((')).to.deep.equal([])
  })

  it('after up: nothing to do; a changed definition is planned with rows, minutes and whether it can be put in place', async () => {
    expect((await plugin().versions.diff())[0]).to.include({ from: null, way: 'populate' })
    await plugin().up()
    expect(await plugin().plan()).to.deep.include({ todo: false })
    expect(planLines(await plugin().plan())).to.deep.equal(['nothing to do'])

    const added = books({ size: { type: 'integer' } })
    const [step] = (await plugin(added).plan()).sections.flatMap((each) => each.steps)
    expect(step).to.deep.include({ rows: 3, actions: ['created', 'populated', 'activated'] })
    expect(step!.minutes).to.be.greaterThan(0)
    expect(step!.notes.join()).to.include('npx umzug es:create --in-place books')
    expect((await plugin(books({ title: { type: 'keyword' } })).plan()).sections[3]!.steps[0]!.notes).to.deep.equal([])
  })

  it('exit codes: plan 2 where there is something to do, es:diff --check 1 where something differs, else 0', async () => {
    const code = async (args: string[], definition = books({})) => {
      const runtime = {
        ...currentRuntime(),
        argv: [...args, '--config', `${app.folder}/umzug.config.js`],
        write: () => {},
      }
      return await runCli(runtime, () => plugin(definition), new AbortController().signal)
    }
    const changed = books({ size: { type: 'integer' } })
    expect(await code(['plan'])).to.equal(0)
    expect(await code(['plan', '--json'], changed)).to.equal(2)
    expect(await code(['es:diff', '--check'])).to.equal(0)
    expect(await code(['es:diff'], changed)).to.equal(0)
    expect(await code(['es:diff', 'books', '--check'], changed)).to.equal(1)
  })

  it('shows what is in the way of an activation', async () => {
    const next = books({}, 'two')
    await plugin(next).versions.update(['books'])
    await core.sql(`UPDATE elastic_umzug.index_versions SET dependency_error = 'no such column' WHERE number = 2`)
    const [step] = (await plugin(next).plan()).sections[3]!.steps
    expect(step).to.deep.include({ actions: ['activated'] })
    expect(step!.blockedBy.join()).to.include('cannot be kept up to date: no such column')
    await core.sql('UPDATE elastic_umzug.index_versions SET dependency_error = NULL')
  })

  it('es:diff compares code, versions and the cluster, and says what it takes', async () => {
    const changed = plugin(books({ size: { type: 'integer' }, author: { type: 'text' } }))
    const [diff] = await changed.versions.diff()
    expect(diff).to.include({
      index: 'books',
      from: `${core.world.prefix}books-1`,
      to: 'code',
      way: 'populate',
      rows: 3,
    })
    expect(diff!.bytes).to.be.greaterThan(0)
    const lines = diffLines(diff!).join('\n')
    expect(lines).to.match(/can be put in place:\n +\+ size: .*\n +needs a new version, .*copied.*\n +~ author: /)
    const [revision] = await changed.versions.diff(['books', 'books@1', 'books@2'])
    expect(revision!.changes).to.deep.equal([
      { path: 'revision', kind: 'changed', before: null, after: 'two', way: 'populate', refresh: false },
    ])
    expect((await changed.versions.diff(['books', 'live']))[0]!.changes).to.deep.equal([])
    expect((await changed.versions.diff([`${core.world.prefix}books-2`]))[0]!.from).to.match(/books-2$/)
    for (const names of [['books', 'code', 'live'], ['books', 'live', 'code'], ['books', 'a', 'b', 'c'], ['live']]) {
      const error = await changed.versions.diff(names).catch((error) => error)
      expect(error.code, names.join()).to.equal('COMMAND_INVALID')
    }
    expect((await changed.versions.diff(['books@9']).catch((error) => error)).code).to.equal('VERSION_UNKNOWN')
    expect((await changed.versions.diff(['boks']).catch((error) => error)).code).to.equal('DEFINITION_UNKNOWN')
  })

  it('the tag is that of the config, of TAG, or of git, at most 63 characters; null where there is no repository', async () => {
    const runtime = currentRuntime()
    const plain = { env: () => undefined, run: runtime.run }
    const found = (tag: string | undefined, env?: string) =>
      findTag({ config: tag === undefined ? {} : { tag }, folder: app.folder, runtime: { ...plain, env: () => env } })
    expect(await found('x'.repeat(80), 'env')).to.equal('x'.repeat(63))
    expect(await found(undefined, 'env')).to.equal('env')
    expect(await found(undefined)).to.equal(null)
    const git = (...args: string[]) => execFileSync('git', args, { cwd: app.folder, stdio: 'ignore' })
    git('init')
    git('add', 'migrations')
    git('-c', 'user.name=x', '-c', 'user.email=x@x', 'commit', '-m', 'first')
    git('tag', 'v7')
    expect(await found(undefined)).to.equal('v7')
    expect(await runtime.run('no-such-program', [], app.folder)).to.equal(undefined)
  })

  it('a version of another build is told once, by activation and by a worker', async () => {
    const lines: string[] = []
    const other = plugin(books({}, 'two'), { tag: 'later' })
    const seen: unknown[] = []
    other.on('version:tag:other', (event) => seen.push(event))
    await core.sql(`UPDATE elastic_umzug.index_versions SET tag = 'earlier'`)
    await other.versions.activate(['books@2'], { onLine: (line) => void lines.push(line) })
    expect(lines.join('\n')).to.include('books-2: made by build earlier, this is later')
    await other.start()
    await other.stop()
    expect(seen).to.deep.equal([{ index: 'books', version: 2, made: 'earlier', tag: 'later' }])
    expect((await other.log(1))[0]!.tag).to.equal('later')
  })
})
