import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { DataTypes } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { defineIndex, elasticUmzug } from '../../src/index.ts'
import { expectRefusal, type Refusal } from '../support/bad_input.ts'
import { createWorld, spawnCli, type World } from '../support/world.ts'

const fixtures = fileURLToPath(new URL('../fixtures/bad/', import.meta.url))

type Env = Record<string, string>

describe('bad input: synchronisation', () => {
  let world: World
  const run = (args: string, env: Env = {}) =>
    spawnCli(['--config', 'sync.config.ts', ...args.split(' ')], {
      cwd: fixtures,
      env: {
        DATABASE_URL: world.databaseUrl,
        ELASTICSEARCH_URL: world.elasticsearchUrl,
        PREFIX: world.prefix,
        ...env,
      },
    })
  const query = async (sql: string) => (await world.sequelize.query(sql))[0]
  /** Everything that a refused command must leave as it was. */
  const all = async () => ({
    versions: await query(`SELECT physical, state, revision FROM elastic_umzug.index_versions ORDER BY id`),
    captured: await query(`SELECT table_name, state FROM elastic_umzug.captured_tables ORDER BY 1`),
    triggers: await query(`SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1`),
    functions: await query(`SELECT proname FROM pg_proc WHERE pronamespace = 'elastic_umzug'::regnamespace ORDER BY 1`),
    pending: await query(`SELECT key, generation, attempts, aborted_at FROM elastic_umzug.pending ORDER BY 1`),
    indexes: Object.keys(await world.client.indices.get({ index: `${world.prefix}*`, features: ['aliases'] })).sort(),
  })

  before(async () => {
    world = await createWorld()
    const ended = await run('queue:work')
    expectRefusal(ended, { code: 'SCHEMA_MISSING', next: 'npx umzug up' })
    expect(await query(`SELECT FROM pg_namespace WHERE nspname = 'elastic_umzug'`)).to.deep.equal([])
    const up = await run('up')
    expect(up.code, up.stderr).to.equal(0)
    await query(
      `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change, due_at, aborted_at, error)
       SELECT id, '2', 0, 'infinity', clock_timestamp(), 'why' FROM elastic_umzug.index_versions`,
    )
  })
  after(() => world.drop())

  const sourceInvalid: Refusal = { code: 'SOURCE_INVALID', says: ['nope', 'remarks'], next: 'correct the model' }
  const cases: [string, Env, Refusal][] = [
    ['up', { COLUMN: 'nope' }, sourceInvalid],
    ['up', { COLUMN: 'nope', REVISION: '2' }, sourceInvalid],
    ['es:create --force', { COLUMN: 'nope' }, sourceInvalid],
    ['up', { TABLE: 'seen_notes', CAPTURE: '"triggers"' }, {
      code: 'CAPTURE_IMPOSSIBLE',
      says: ['public.seen_notes', 'view'],
      next: `capture: { 'public.seen_notes': 'hooks' }`,
    }],
    ['up', { TABLE: 'loose_notes', CAPTURE: '"triggers"', REVISION: '2' }, {
      code: 'CAPTURE_IMPOSSIBLE',
      says: ['public.loose_notes', 'primary key'],
      next: 'ADD PRIMARY KEY',
    }],
    ['up', { CAPTURE: '{ "Nope": "triggers" }' }, {
      code: 'CONFIG_INVALID',
      says: ['`capture.Nope`', 'Note, Remark, public.notes, public.remarks'],
      next: 'correct `Nope`',
    }],
    ['up', { CAPTURE: '{ "Note": "triggers", "public.notes": "hooks" }' }, {
      code: 'CONFIG_INVALID',
      says: ['public.notes twice'],
      next: 'remove one',
    }],
    ['status', { CAPTURE: '"sometimes"' }, { code: 'CONFIG_INVALID', says: ['`capture` is sometimes'], next: 'hooks' }],
    ['queue:clear', {}, { code: 'COMMAND_INVALID', exit: 2, says: ['name them'], next: 'npx umzug queue:clear NAME' }],
    ['queue:clear --all --reason a --reason b', {}, { code: 'COMMAND_INVALID', exit: 2, says: ['--reason', 'once'] }],
    ['queue:clear --reason why --dry-run', {}, { code: 'COMMAND_INVALID', exit: 2, says: ['name them'] }],
    ['queue:retry nope', {}, { code: 'VERSION_UNKNOWN', says: ['"nope"', 'notes@1'], next: 'npx umzug es:list' }],
    ['queue:retry --key 77', {}, { code: 'ABORTED_UNKNOWN', says: ['77'], next: 'npx umzug queue:status' }],
    ['queue:clear notes --key 2 --key 77', {}, { code: 'ABORTED_UNKNOWN', says: ['77'] }],
    ['es:verify nope --repair', {}, {
      code: 'VERSION_UNKNOWN',
      says: ['"nope"', 'notes@1'],
      next: 'npx umzug es:list',
    }],
    ['status --max-lag-ms many', {}, { code: 'COMMAND_INVALID', exit: 2, says: ['--max-lag-ms'] }],
  ]
  for (const [args, env, refusal] of cases) {
    const knobs = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    it(`${[...knobs, 'umzug', args].join(' ')}: ${refusal.code}, and nothing is done`, async () => {
      const before = await all()
      expectRefusal(await run(args, env), refusal)
      expect(await all()).to.deep.equal(before)
    })
  }

  it('two plugins on one instance that have a table captured differently: CONFIG_INVALID, and the first goes on', async () => {
    const { sequelize, client, prefix } = world
    const Note = sequelize.define('Note', { title: DataTypes.TEXT }, { tableName: 'notes', timestamps: false })
    const indexes = [
      defineIndex({ name: 'notes', mappings: { properties: { title: { type: 'text' } } }, source: fromModel(Note) }),
    ]
    const [first, second] = (['hooks', 'triggers'] as const).map((capture) =>
      elasticUmzug({ sequelize, elasticsearch: client, prefix, indexes, capture })
    )
    await first!.start()
    const error = await second!.start().then(() => undefined, (error) => error)
    expect(error).to.include({ code: 'CONFIG_INVALID' })
    expect(error.message).to.include('public.notes').and.match(/\n {2}next: give both the same `capture`/)
    await Note.create({ title: 'three' })
    expect(
      await query(`SELECT key FROM elastic_umzug.pending WHERE key = '3'
      UNION SELECT 'captured' FROM elastic_umzug.changes WHERE table_name = 'public.notes'`),
    ).not.to.deep.equal([])
    await first!.stop()
    await second!.stop()
  })
})
