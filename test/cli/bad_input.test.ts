import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import type { Base } from '../../src/commands/base.ts'
import { prepare } from '../../src/commands/up.ts'
import { elasticUmzug } from '../../src/index.ts'
import type { Db, Source } from '../../src/ports.ts'
import { defineIndex } from '../../src/search/definition.ts'
import { openStore } from '../../src/store/store.ts'
import { answerJson, closedPort, expectRefusal, type Refusal, runHere, startImpostor } from '../support/bad_input.ts'
import { createWorld, spawnCli, startCli, waitFor, type World } from '../support/world.ts'

const fixtures = fileURLToPath(new URL('../fixtures/bad/', import.meta.url))

/** Runs a command with a config of test/fixtures/bad. */
function runner(world: World) {
  return (config: string, args: string, env: Record<string, string | undefined> = {}) =>
    spawnCli(['--config', `${config}.config.ts`, ...args.split(' ')], {
      cwd: fixtures,
      env: {
        DATABASE_URL: world.databaseUrl,
        ELASTICSEARCH_URL: world.elasticsearchUrl,
        PREFIX: world.prefix,
        ...env,
      },
    })
}

/** What a command left behind: own tables' rows, physical indexes, and tables of the application. */
async function leftovers({ sequelize, client, prefix }: World) {
  const query = async (sql: string) => (await sequelize.query(sql))[0] as Record<string, unknown>[]
  const [found] = await query(`SELECT to_regclass('elastic_umzug.index_versions') IS NOT NULL AS own`)
  const indexes = await client.indices.get({ index: `${prefix}*`, expand_wildcards: 'all', features: ['aliases'] })
  const tables = await query(`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)
  return {
    ownTables: found!.own,
    versions: found!.own ? (await query('SELECT physical, state FROM elastic_umzug.index_versions ORDER BY id')) : [],
    // The marker of restores stands for the database, not for a version.
    indexes: Object.keys(indexes).filter((each) => !each.includes('elastic-umzug~')).sort(),
    tables: tables.map((each) => each.name),
  }
}

/** Code of the error that a promise is rejected with. */
async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(() => 'done', (error) => error.code)
}

const untouched = { ownTables: false, versions: [], indexes: [], tables: [] }

describe('bad input: the command line', () => {
  let folder: string
  before(async () => void (folder = await mkdtemp(join(tmpdir(), 'elastic-umzug-'))))
  after(() => rm(folder, { recursive: true }))

  const cases: [string, Refusal][] = [
    ['frobnicate', { code: 'COMMAND_INVALID', exit: 2, says: ['frobnicate'], next: 'npx umzug --help' }],
    ['up --frobnicate', { code: 'COMMAND_INVALID', exit: 2, says: ['--frobnicate'], next: 'npx umzug up --help' }],
    ['up --step many', { code: 'COMMAND_INVALID', exit: 2, says: ['--step', 'many'], next: 'npx umzug up --help' }],
    ['up --to a --step 1', { code: 'COMMAND_INVALID', exit: 2, says: ['to', 'step'], next: 'npx umzug up --help' }],
    ['up --step 0', { code: 'COMMAND_INVALID', exit: 2, says: ['--step is 0'] }],
    ['down --step -2', { code: 'COMMAND_INVALID', exit: 2, says: ['--step is -2'] }],
    ['up books', { code: 'COMMAND_INVALID', exit: 2, says: ['books'], next: 'npx umzug up --help' }],
    ['queue:work books', { code: 'COMMAND_INVALID', exit: 2, says: ['books'], next: 'npx umzug queue:work --help' }],
    ['es:create books --nope', {
      code: 'COMMAND_INVALID',
      exit: 2,
      says: ['--nope'],
      next: 'npx umzug es:create --help',
    }],
    ['log --limit -3', { code: 'COMMAND_INVALID', exit: 2, says: ['--limit'], next: 'npx umzug log --help' }],
    ['up --password hunter2', { code: 'COMMAND_INVALID', exit: 2, secrets: ['hunter2'] }],
    ['up --config', { code: 'COMMAND_INVALID', exit: 2, says: ['--config needs a path'], next: '--config PATH' }],
    ['up', { code: 'CONFIG_NOT_FOUND', says: ['umzug.config.', 'or above'], next: 'umzug.config.ts' }],
    ['es:list', { code: 'CONFIG_NOT_FOUND' }],
    ['pending', { code: 'CONFIG_NOT_FOUND' }],
    ['create --name x.sql', { code: 'CONFIG_NOT_FOUND' }],
    ['--config nowhere.ts up', { code: 'CONFIG_NOT_FOUND', says: ['nowhere.ts'], next: '--config' }],
  ]
  for (const [args, refusal] of cases) {
    it(`umzug ${args}: ${refusal.code}`, async () => {
      expectRefusal(await runHere(args.split(' '), folder), refusal)
    })
  }

  it('ends a process with the same', async () => {
    const of = (name: string) => cases.find(([args]) => args === name)!
    for (const [args, refusal] of [of('frobnicate'), of('up --config'), of('up')]) {
      expectRefusal(await spawnCli(args.split(' '), { cwd: folder }), refusal)
    }
  })

  it('explains itself without a config', async () => {
    for (const args of [[], ['es:activate', '--help']]) {
      const { code, stdout, stderr } = await spawnCli(args, { cwd: folder })
      expect(code, stderr).to.equal(0)
      expect(stdout).to.match(/^usage: umzug/)
      expect(stderr).to.equal('')
    }
  })
})

describe('bad input: the config', () => {
  let world: World
  before(async () => void (world = await createWorld()))
  after(() => world.drop())

  const cases: [string, Refusal][] = [
    ['throws', { code: 'CONFIG_FAILED', says: ['throws.config.ts', 'cannot read the settings from postgres://'] }],
    ['function-throws', { code: 'CONFIG_FAILED', says: ['function-throws.config.ts', 'cannot read the settings'] }],
    ['syntax', { code: 'CONFIG_FAILED', says: ['syntax.config.ts'] }],
    ['missing-import', { code: 'CONFIG_FAILED', says: ['missing-import.config.ts', 'there-is-no-such-file'] }],
    ['nothing', { code: 'CONFIG_INVALID', says: ['nothing.config.ts'], next: 'export default defineConfig' }],
    ['not-sequelize', {
      code: 'CONFIG_INVALID',
      says: ['`sequelize` is not a Sequelize instance'],
      next: 'new Sequelize',
    }],
    ['mysql', { code: 'CONFIG_INVALID', says: ['mysql'], next: 'postgres' }],
    ['not-client', { code: 'CONFIG_INVALID', says: ['`elasticsearch` is not a client'], next: 'new Client' }],
    ['not-definitions', { code: 'CONFIG_INVALID', says: ['`indexes`'], next: 'defineIndex' }],
    ['twice', { code: 'DEFINITION_DUPLICATE', says: ['"notes"'], next: 'another name' }],
    ['keyless', { code: 'SOURCE_INVALID', says: ['Keyless', 'primary key'] }],
  ]
  for (const [config, refusal] of cases) {
    it(`${config}: ${refusal.code}`, async () => {
      const ended = await runner(world)(config, 'up')
      expectRefusal(ended, { ...refusal, secrets: [new URL(world.databaseUrl).password] })
      expect((await leftovers(world)).indexes).to.deep.equal([])
    })
  }

  it('refuses a prefix that Elasticsearch would refuse', () => {
    for (const prefix of ['QA_', '_qa', 'q a', 'x'.repeat(100)]) {
      expect(() => elasticUmzug({ sequelize: world.sequelize, prefix }), prefix)
        .to.throw(`the prefix "${prefix}"`).with.property('code', 'CONFIG_INVALID')
    }
  })

  it('refuses numbers that are none, or not above 0', () => {
    for (const wrong of [{ concurrency: 0 }, { leaseMs: -1 }, { batchSize: 1.5 }, { pollMs: NaN }]) {
      const [name] = Object.keys(wrong)
      expect(() => elasticUmzug({ sequelize: world.sequelize, ...wrong }), name)
        .to.throw(`\`${name}\` is `).with.property('code', 'CONFIG_INVALID')
    }
    elasticUmzug({ sequelize: world.sequelize, prefix: '', concurrency: 1 })
  })

  it('refuses what nobody reads, and says what is read', () => {
    const refused: [object, RegExp][] = [
      [
        { migration: '*.sql' },
        /`migration` is nothing that is read; known are: sequelize, .*migrations, .*maxAttempts/,
      ],
      [{ migrationStorage: { table: 'x' } }, /`migrationStorage\.table` .*known are: tableName, schema, columnName/],
    ]
    for (const [wrong, says] of refused) {
      expect(() => elasticUmzug({ sequelize: world.sequelize, ...wrong }))
        .to.throw(says).with.property('code', 'CONFIG_INVALID')
    }
  })

  it('refuses values of another kind', () => {
    const refused: [object, string][] = [
      [{ schema: 7 }, '`schema` is not'],
      [{ schema: '' }, '`schema` is not'],
      [{ tag: 7 }, '`tag` is not text'],
      [{ templates: ['a'] }, '`templates` is not text'],
      [{ require: 'ts-node' }, '`require` is not an array of text'],
      [{ require: [7] }, '`require` is not an array of text'],
      [{ migrationStorage: 'x' }, '`migrationStorage` is not an object'],
      [{ migrationStorage: { tableName: 7 } }, '`migrationStorage.tableName` is not text'],
      [{ elasticsearch: null }, '`elasticsearch` is not a client'],
      [{ indexes: [null] }, '`indexes` is not an array of definitions'],
      [{ prefix: 7 }, 'the prefix "7"'],
      [{ indexes: [{ hash: 'x' }] }, 'there is no `elasticsearch`'],
    ]
    for (const [wrong, says] of refused) {
      expect(() => elasticUmzug({ sequelize: world.sequelize, ...wrong }), says)
        .to.throw(says).with.property('code', 'CONFIG_INVALID')
    }
    const migrationStorage = { tableName: 'a', schema: 'b', columnName: 'c' }
    elasticUmzug({ sequelize: world.sequelize, tag: '', templates: 't', require: [], schema: 'own', migrationStorage })
  })

  it('refuses a name that a version of another definition would have', () => {
    const source = { page: () => {} } as unknown as Source
    const indexes = ['books-12', 'films', 'books'].map((name) => defineIndex({ name, mappings: {}, source }))
    const config = { sequelize: world.sequelize, elasticsearch: world.client, indexes }
    expect(() => elasticUmzug(config)).to.throw('"books-12"').with.property('code', 'DEFINITION_DUPLICATE')
  })

  it('shows the stack of a config that throws with --verbose, without passwords', async () => {
    const { code, stderr } = await runner(world)('throws', '--verbose up')
    expect(code).to.equal(1)
    expect(stderr).to.match(/^error CONFIG_FAILED: [^]*\n\s+at .+throws\.config\.ts/)
    expect(stderr).not.to.include(new URL(world.databaseUrl).password)
  })
})

describe('bad input: PostgreSQL', () => {
  let world: World
  before(async () => void (world = await createWorld()))
  after(() => world.drop())

  function changed(change: (url: URL) => void): { url: string; secrets: string[] } {
    const url = new URL(world.databaseUrl)
    url.password = 'wrong-hunter2'
    change(url)
    return { url: url.href, secrets: ['wrong-hunter2'] }
  }

  for (const command of ['up', 'pending', 'es:list', 'up --dry-run']) {
    it(`umzug ${command}, PostgreSQL down: DATABASE_UNREACHABLE`, async () => {
      const port = await closedPort()
      const { url, secrets } = changed((each) => each.host = `127.0.0.1:${port}`)
      expectRefusal(await runner(world)('notes', command, { DATABASE_URL: url }), {
        code: 'DATABASE_UNREACHABLE',
        says: [`127.0.0.1:${port}`],
        secrets,
      })
    })
  }

  it('wrong password: DATABASE_REFUSED', async () => {
    const { url, secrets } = changed(() => {})
    expectRefusal(await runner(world)('notes', 'up', { DATABASE_URL: url }), {
      code: 'DATABASE_REFUSED',
      says: [/password authentication failed/, new URL(url).host],
      next: 'password',
      secrets,
    })
  })

  it('no such database: DATABASE_REFUSED', async () => {
    const url = new URL(world.databaseUrl)
    url.pathname = '/there_is_no_such_database'
    expectRefusal(await runner(world)('notes', 'up', { DATABASE_URL: url.href }), {
      code: 'DATABASE_REFUSED',
      says: ['there_is_no_such_database', 'does not exist'],
      secrets: [url.password],
    })
  })

  it('older than 13: DATABASE_VERSION, and nothing is made', async () => {
    const db = fromSequelize(world.sequelize)
    const old: Db = {
      ...db,
      query: async <Row extends object>(sql: string, values?: readonly unknown[]) =>
        await db.query<Row>(sql.replace(`current_setting('server_version_num')`, `'120000'`), values),
    }
    const parts = { db: old, store: openStore(old, 'elastic_umzug') }
    const error = await prepare(parts as Base).catch((each) => each)
    expect(error).to.have.property('code', 'DATABASE_VERSION')
    expect(error.message).to.match(/is version 12\b/).and.include(db.label)
    expect(await leftovers(world)).to.deep.equal(untouched)
  })

  it('own tables missing: SCHEMA_MISSING, and dry runs make none', async () => {
    const run = runner(world)
    for (const command of ['es:list', 'es:create', 'es:activate --dry-run', 'queue:work', 'log']) {
      expectRefusal(await run('notes', command), { code: 'SCHEMA_MISSING', next: /next: npx umzug up$/m })
    }
    for (const command of ['up --dry-run', 'pending']) {
      expect(await run('notes', command)).to.include({ code: 0, stderr: '' })
    }
    expect(await leftovers(world)).to.deep.equal(untouched)
  })
})

describe('bad input: own tables of a newer release', () => {
  let world: World
  before(async () => void (world = await createWorld()))
  after(() => world.drop())

  it('SCHEMA_NEWER for every command, and nothing is done', async () => {
    const run = runner(world)
    expect(await run('notes', 'up --no-search')).to.include({ code: 0 })
    await world.sequelize.query('INSERT INTO elastic_umzug.schema_steps (number) VALUES (999)')
    for (const command of ['up', 'down', 'es:create', 'queue:work', 'log']) {
      expectRefusal(await run('notes', command), { code: 'SCHEMA_NEWER', says: ['999'], next: 'npm install' })
    }
    const left = await leftovers(world)
    expect(left).to.deep.include({ versions: [], indexes: [] })
    expect(left.tables).to.deep.equal(['SequelizeMeta', 'notes'])
  })
})

describe('bad input: Elasticsearch', () => {
  let world: World
  before(async () => void (world = await createWorld()))
  after(() => world.drop())

  // The failure is on record, without the password; nothing else happened.
  async function expectOnlyRecorded(code: string): Promise<void> {
    expect(await leftovers(world)).to.deep.equal({ ...untouched, ownTables: true })
    const [rows] = await world.sequelize.query(
      'SELECT a::text AS text, state, error FROM elastic_umzug.actions a ORDER BY id',
    )
    const last = rows.at(-1) as { text: string; state: string; error: string }
    expect(last.state).to.equal('aborted')
    expect(last.error).to.include(code)
    expect(JSON.stringify(rows)).not.to.include('wrong-hunter2').and.not.to.include('OndyYQ')
  }

  const refused = { error: { type: 'security_exception', reason: 'unable to authenticate user [u]' }, status: 401 }
  const impostors: [string, Parameters<typeof answerJson>, Refusal][] = [
    ['wrong password', [401, refused], { code: 'SEARCH_REFUSED', next: 'password' }],
    ['no privileges', [403, refused], { code: 'SEARCH_REFUSED' }],
    ['version 7', [200, { version: { number: '7.17.9' } }], { code: 'SEARCH_VERSION', says: ['7.17.9'] }],
    ['version 9', [200, { version: { number: '9.1.0' } }], { code: 'SEARCH_VERSION', says: ['9.1.0'] }],
    ['not Elasticsearch', [200, { hello: 'world' }, false], { code: 'SEARCH_VERSION', says: ['not Elasticsearch'] }],
    ['not Elasticsearch: 404', [404, { message: 'no route' }, false], { code: 'SEARCH_VERSION' }],
    ['a broken proxy', [502, { message: 'bad gateway' }, false], { code: 'SEARCH_UNREACHABLE', says: ['502'] }],
  ]
  for (const [what, answer, refusal] of impostors) {
    it(`${what}: ${refusal.code}, before anything is migrated`, async () => {
      const impostor = await startImpostor(answerJson(...answer))
      try {
        const node = impostor.url.replace('http://', 'http://u:wrong-hunter2@')
        expectRefusal(await runner(world)('notes', 'up', { ELASTICSEARCH_URL: node }), {
          ...refusal,
          says: [new URL(impostor.url).host, ...refusal.says ?? []],
          secrets: ['wrong-hunter2', 'OndyYQ'],
        })
      } finally {
        await impostor.close()
      }
      await expectOnlyRecorded(refusal.code)
    })
  }

  it('answers text instead of JSON: SEARCH_VERSION', async () => {
    const impostor = await startImpostor((_request, response) => response.end('<html>hello</html>'))
    try {
      expectRefusal(await runner(world)('notes', 'up', { ELASTICSEARCH_URL: impostor.url }), { code: 'SEARCH_VERSION' })
    } finally {
      await impostor.close()
    }
  })

  it('case 11: down: SEARCH_UNREACHABLE before anything is migrated; --no-search migrates without it', async () => {
    const host = `127.0.0.1:${await closedPort()}`
    const env = { ELASTICSEARCH_URL: `http://u:wrong-hunter2@${host}` }
    expectRefusal(await runner(world)('notes', 'up', env), {
      code: 'SEARCH_UNREACHABLE',
      says: [host],
      next: '--no-search',
      secrets: ['wrong-hunter2'],
    })
    await expectOnlyRecorded('SEARCH_UNREACHABLE')
    expect(await runner(world)('notes', 'up --no-search', env)).to.include({ code: 0, stderr: '' })
    for (const command of ['es:create', 'es:update', 'es:activate']) {
      const ended = await runner(world)('notes', command, env)
      expectRefusal(ended, { code: 'SEARCH_UNREACHABLE', says: [host], secrets: ['wrong-hunter2'] })
    }
    expect(await leftovers(world)).to.deep.include({ versions: [], indexes: [] })
  })

  it('case 11: down: an application starts and writes, and its changes are in the index afterwards', async () => {
    const run = runner(world)
    const built = await run('notes', 'up')
    expect(built.code, built.stderr).to.equal(0)
    const env = {
      DATABASE_URL: world.databaseUrl,
      ELASTICSEARCH_URL: `http://127.0.0.1:${await closedPort()}`,
      PREFIX: world.prefix,
    }
    const wrote = await spawnCli([], { cwd: fixtures, env, program: join(fixtures, 'writes.ts') })
    expect(wrote, wrote.stderr).to.include({ code: 0 })
    const listed = await run('notes', 'es:list', env)
    expect(listed, listed.stderr).to.include({ code: 0 })
    expect(listed.stdout).to.match(/notes-1 +active +unknown/)
    const status = await run('notes', 'queue:status --json', env)
    expect(JSON.parse(status.stdout)[0]).to.include({ index: 'notes', aborted: 0 })

    const worker = startCli(['--config', 'notes.config.ts', 'queue:work'], {
      cwd: fixtures,
      env: { ...env, ELASTICSEARCH_URL: world.elasticsearchUrl },
    })
    const titles = async () => {
      await world.client.indices.refresh({ index: `${world.prefix}notes` })
      const { hits } = await world.client.search<{ title: string }>({ index: `${world.prefix}notes` })
      return hits.hits.map((each) => each._source!.title).sort().join()
    }
    await waitFor(async () => await titles() === 'four,three,uno')
    worker.kill('SIGTERM')
    expect(await worker.ended).to.include({ code: 0 })
  })
})

describe('bad input: names and mappings', () => {
  let world: World
  before(async () => void (world = await createWorld()))
  afterEach(async () => {
    await world.drop()
    world = await createWorld()
  })
  after(() => world.drop())

  for (const name of ['Notes', '_notes', 'no tes', 'n'.repeat(300)]) {
    it(`a name that Elasticsearch refuses, ${name.slice(0, 20)}: DEFINITION_INVALID`, async () => {
      const ended = await runner(world)('notes', 'up', { INDEX_NAME: name })
      expectRefusal(ended, { code: 'DEFINITION_INVALID', says: [`"${name}"`], next: 'rename' })
      expect(await leftovers(world)).to.deep.equal(untouched)
    })
  }

  it('takes no name that Elasticsearch refuses, with the longest prefix', async () => {
    const source = { page: () => {} } as unknown as Source
    const names = [
      'a',
      '.',
      '..',
      'a.b',
      'a\tb',
      'a\nb',
      'a\u0000b',
      'a\u00a0b',
      'a\u2003b',
      'a;b',
      'a:b',
      'a%b',
      'a&b',
      'a[b',
      "a'b",
      'a`b',
      'ä',
      '日本',
      'é'.repeat(100),
      'ǅ',
      'İ',
      'a+b',
      'a!b',
      'a=b',
      '😀',
      'a\ud800',
    ]
    const prefix = world.prefix.padEnd(40, 'x')
    const taken = names.filter((name) => {
      try {
        return defineIndex({ name, mappings: {}, source })
      } catch {
        return false
      }
    })
    expect(taken).to.include.members(['a', 'a.b', 'ä', '日本', 'é'.repeat(100)])
    for (const name of taken) {
      const physical = `${prefix}${name}-123456`
      const { acknowledged } = await world.client.indices.create({
        index: physical,
        aliases: { [`${physical}.write`]: {} },
      })
      expect(acknowledged, name).to.equal(true)
    }
  })

  const refusals: [string, Record<string, string>, string][] = [
    ['a type', { MAPPINGS: '{ "properties": { "title": { "type": "txt" } } }' }, 'txt'],
    ['an analyzer', { MAPPINGS: '{ "properties": { "title": { "type": "text", "analyzer": "nope" } } }' }, 'nope'],
    ['a setting', { SETTINGS: '{ "nonsense": 1 }' }, 'nonsense'],
  ]
  for (const [what, env, reason] of refusals) {
    it(`${what} that Elasticsearch does not know: MAPPING_REFUSED, nothing registered; corrected, it goes on`, async () => {
      const run = runner(world)
      for (const command of ['up', 'es:create', 'es:update']) {
        expectRefusal(await run('notes', command, env), {
          code: 'MAPPING_REFUSED',
          says: ['"notes"', reason],
          next: '"notes"',
        })
        expect(await leftovers(world)).to.deep.include({ versions: [], indexes: [] })
      }
      const corrected = await run('notes', 'up')
      expect(corrected, corrected.stderr).to.include({ code: 0 })
      const { versions, indexes } = await leftovers(world)
      expect(versions.map((each) => each.state)).to.deep.equal(['active'])
      expect(indexes).to.deep.equal([versions[0]!.physical])
    })
  }

  it('unknown names and versions: which there are, and nothing is done', async () => {
    const run = runner(world)
    expect(await run('notes', 'up')).to.include({ code: 0 })
    const before = await leftovers(world)
    expectRefusal(await run('notes', 'es:create nope'), { code: 'DEFINITION_UNKNOWN', says: ['"nope"', 'notes'] })
    expectRefusal(await run('notes', 'es:activate notes@99'), {
      code: 'VERSION_UNKNOWN',
      says: ['"notes@99"', 'notes@1'],
      next: 'npx umzug es:list',
    })
    const { versions } = elasticUmzug({
      sequelize: world.sequelize,
      elasticsearch: world.client,
      prefix: world.prefix,
      indexes: [defineIndex({ name: 'notes', mappings: {}, source: { page: () => {} } as unknown as Source })],
    })
    for (const dryRun of [false, true]) {
      for (const target of ['nope', 'notes@x', 'notes-9', 'notes@1@2', '@1', 'notes@']) {
        expect(await codeOf(versions.activate([target], { dryRun })), target).to.equal('VERSION_UNKNOWN')
      }
      for (const names of [['nope'], ['notes', 'nope'], ['notes@1'], ['']]) {
        expect(await codeOf(versions.create(names, { dryRun })), names.join()).to.equal('DEFINITION_UNKNOWN')
        expect(await codeOf(versions.update(names, { dryRun })), names.join()).to.equal('DEFINITION_UNKNOWN')
      }
    }
    expect(await leftovers(world)).to.deep.equal(before)
  })
})

describe('bad input: documents', () => {
  let world: World
  beforeEach(async () => void (world = await createWorld()))
  afterEach(() => world.drop())

  const aliases = async () =>
    Object.keys(await world.client.indices.getAlias({ name: `${world.prefix}notes` }).catch(() => ({})))
  const narrow = '{ "dynamic": "strict", "properties": { "id": { "type": "integer" }, "title": { "type": "text" } } }'

  it('a field that a strict mapping refuses: DOCUMENT_REFUSED, no alias; corrected, up goes on', async () => {
    const run = runner(world)
    const ended = await run('notes', 'up', { MAPPINGS: narrow })
    expectRefusal(ended, { code: 'DOCUMENT_REFUSED', says: [/document \d/, 'notes-1', '[stars]'], next: '"notes"' })
    expect(await aliases()).to.deep.equal([])
    const corrected = await run('notes', 'up')
    expect(corrected, corrected.stderr).to.include({ code: 0 })
    expect(await aliases()).to.deep.equal([`${world.prefix}notes-2`])
  })

  it('a value that a mapping refuses: DOCUMENT_REFUSED; the row corrected, the same version goes on', async () => {
    const run = runner(world)
    const mappings =
      '{ "properties": { "id": { "type": "integer" }, "title": { "type": "date" }, "stars": { "type": "integer" } } }'
    const ended = await run('notes', 'up', { MAPPINGS: mappings })
    expectRefusal(ended, { code: 'DOCUMENT_REFUSED', says: [/document 1 of .*notes-1/, 'title'] })
    await world.sequelize.query(`UPDATE notes SET title = '2026-01-01'`)
    const corrected = await run('notes', 'up', { MAPPINGS: mappings })
    expect(corrected, corrected.stderr).to.include({ code: 0 })
    expect(await aliases()).to.deep.equal([`${world.prefix}notes-1`])
  })

  it('document() that throws: SOURCE_INVALID with the key; the row corrected, the same version goes on', async () => {
    const run = runner(world)
    expect(await run('notes', 'up --no-search')).to.include({ code: 0 })
    await world.sequelize.query('UPDATE notes SET title = NULL WHERE id = 2')
    const ended = await run('throwing-document', 'up')
    expectRefusal(ended, { code: 'SOURCE_INVALID', says: ['document()', '"notes"', 'key 2'], next: 'document()' })
    expect(await aliases()).to.deep.equal([])
    await world.sequelize.query(`UPDATE notes SET title = 'two' WHERE id = 2`)
    const corrected = await run('throwing-document', 'up')
    expect(corrected, corrected.stderr).to.include({ code: 0 })
    expect(await aliases()).to.deep.equal([`${world.prefix}notes-1`])
  })
})

describe('bad input: migrations', () => {
  let world: World
  beforeEach(async () => void (world = await createWorld()))
  afterEach(() => world.drop())

  const executed = async () => {
    const [rows] = await world.sequelize.query('SELECT name FROM "SequelizeMeta" ORDER BY 1').catch(() => [[]])
    return (rows as { name: string }[]).map((each) => each.name)
  }

  it('one that throws half-way: MIGRATION_FAILED; those before it are recorded, it and those behind it are not', async () => {
    const ended = await runner(world)('notes', 'up', { MIGRATIONS: 'half/*' })
    expectRefusal(ended, {
      code: 'MIGRATION_FAILED',
      says: ['02-half.cjs', 'there_is_no_such_table', 'not recorded as executed', '01-notes.sql'],
      next: 'npx umzug up',
    })
    expect(await executed()).to.deep.equal(['01-notes.sql'])
    const left = await leftovers(world)
    expect(left.tables).to.include('before_the_fault').and.not.include('later')
    expect(left).to.deep.include({ versions: [], indexes: [] })
  })

  it('one that is executed and throws when it is run again: said as it is', async () => {
    const run = runner(world)
    expect(await run('notes', 'up --no-search')).to.include({ code: 0 })
    // The table is there already.
    expectRefusal(await run('notes', 'up --no-search --name 01-notes.sql --rerun ALLOW'), {
      code: 'MIGRATION_FAILED',
      says: ['01-notes.sql', 'is still recorded as executed'],
      next: 'npx umzug up --name 01-notes.sql --rerun ALLOW',
    })
    expect(await executed()).to.deep.equal(['01-notes.sql'])
  })

  it('a glob that matches no file: one line, and no error', async () => {
    const run = runner(world)
    const env = { MIGRATIONS: 'migratons/*.sql' }
    const { code, stdout, stderr } = await run('notes', 'up --no-search', env)
    expect({ code, stderr }, stderr).to.deep.equal({ code: 0, stderr: '' })
    expect(stdout).to.match(/^no file matches migratons\/\*\.sql$/m)
    expect((await run('notes', 'pending', env)).stdout.trim()).to.equal('')
    expect(JSON.parse((await run('notes', 'pending --json', env)).stdout)).to.deep.equal([])
  })

  it('a module of `require` that is not there: CONFIG_FAILED, and no migration is blamed', async () => {
    const ended = await runner(world)('notes', 'up --no-search', { MIGRATIONS: 'leaky/*', REQUIRE: 'no-such-compiler' })
    expectRefusal(ended, { code: 'CONFIG_FAILED', says: ['`require`', 'no-such-compiler'], next: '`require`' })
    expect(ended.stderr).not.to.include('01-leaky')
    expect(await executed()).to.deep.equal([])
  })

  it('an SQL file that fails half-way: MIGRATION_FAILED, and nothing of it stays', async () => {
    const ended = await runner(world)('notes', 'up', { MIGRATIONS: 'broken/*' })
    expectRefusal(ended, { code: 'MIGRATION_FAILED', says: ['01-broken.sql', 'column "id"'] })
    expect(await executed()).to.deep.equal([])
    expect((await leftovers(world)).tables).not.to.include('broken')
  })

  it('a file without up: MIGRATION_INVALID', async () => {
    const ended = await runner(world)('notes', 'up', { MIGRATIONS: 'no-up/*' })
    expectRefusal(ended, { code: 'MIGRATION_INVALID', says: ['01-no-up.cjs', 'up'] })
    expect(await executed()).to.deep.equal([])
  })

  it('an unknown name: MIGRATION_UNKNOWN', async () => {
    for (const args of ['up --to nope', 'up --name nope', 'down --to nope', 'up --to nope --dry-run']) {
      expectRefusal(await runner(world)('notes', args), { code: 'MIGRATION_UNKNOWN', says: ['nope'] })
    }
  })

  it('the log says how each ended, without passwords', async () => {
    const run = runner(world)
    await run('notes', 'up --to 01-notes.sql --name x', { MIGRATIONS: 'half/*' })
    await run('notes', 'up', { MIGRATIONS: 'half/*' })
    const { stdout, stderr, code } = await run('notes', 'log --json')
    expect(code, stderr).to.equal(0)
    const [last, ...others] = JSON.parse(stdout)
    expect(others).to.deep.equal([])
    expect(last).to.include({ action: 'up', state: 'aborted' })
    expect(last.error).to.include('MIGRATION_FAILED').and.include('there_is_no_such_table').and.match(/\n\s+at /)
    expect(stdout).not.to.include(new URL(world.databaseUrl).password)
  })

  it('a migration that throws an error with a password in it: neither printed nor stored', async () => {
    const run = runner(world)
    const ended = await run('notes', 'up', { MIGRATIONS: 'leaky/*', SECRET: 'swordfish-9' })
    expectRefusal(ended, { code: 'MIGRATION_FAILED', says: ['cannot connect'], secrets: ['swordfish-9'] })
    const [rows] = await world.sequelize.query('SELECT a::text AS text FROM elastic_umzug.actions a')
    expect(JSON.stringify(rows)).to.include('cannot connect').and.not.include('swordfish-9')
    const [records] = await world.sequelize.query('SELECT r::text AS text FROM elastic_umzug.migration_records r')
    expect(JSON.stringify(records)).not.to.include('swordfish-9')
  })

  it('a migration that throws the bare passwords of the clients: neither printed nor stored', async () => {
    const { username, password } = new URL(world.databaseUrl)
    const secrets = ['swordfish-9', ...(password.length > 3 && password !== username ? [password] : [])]
    const env = { MIGRATIONS: 'literal/*', ELASTICSEARCH_URL: `http://app:swordfish-9@127.0.0.1:${await closedPort()}` }
    const ended = await runner(world)('notes', '--verbose up --no-search', env)
    expect(ended.stderr).to.include('MIGRATION_FAILED').and.match(/login with \S+ and \*\*\* refused/)
    const [rows] = await world.sequelize.query(
      `SELECT a::text || (SELECT string_agg(r::text, '') FROM elastic_umzug.migration_records r) AS text
       FROM elastic_umzug.actions a`,
    )
    expect(JSON.stringify(rows)).to.include('login with')
    for (const each of secrets) expect(ended.stderr + JSON.stringify(rows)).not.to.include(each)
  })
})
