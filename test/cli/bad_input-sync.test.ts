import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
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
  ]
  for (const [args, env, refusal] of cases) {
    const knobs = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    it(`${[...knobs, 'umzug', args].join(' ')}: ${refusal.code}, and nothing is done`, async () => {
      const before = await all()
      expectRefusal(await run(args, env), refusal)
      expect(await all()).to.deep.equal(before)
    })
  }
})
