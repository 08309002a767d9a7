import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { createWorld, spawnCli, type World } from '../support/world.ts'

const library = fileURLToPath(new URL('../fixtures/library/', import.meta.url))

describe('the queue on the command line', () => {
  let world: World
  const run = (...args: string[]) =>
    spawnCli(args, {
      cwd: library,
      env: { DATABASE_URL: world.databaseUrl, ELASTICSEARCH_URL: world.elasticsearchUrl, PREFIX: world.prefix },
    })
  before(async () => world = await createWorld())
  after(() => world.drop())

  it('lists, retries and clears aborted documents', async () => {
    expect((await run('up')).code).to.equal(0)
    await world.sequelize.query(
      `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change, due_at, aborted_at, error)
       SELECT min(id), k.key, 0, 'infinity', clock_timestamp(), 'too large' FROM elastic_umzug.index_versions,
         unnest('{7,8,9}'::text[]) k(key) GROUP BY k.key`,
    )
    const listed = await run('queue:status', '--aborted', '--key', '7', '--key', '9')
    expect(listed.stdout).to.match(/document 7 aborted: too large\n.*document 9 aborted: too large\n$/)
    const [name] = listed.stdout.split('\n')[1]!.split(' ')
    const [another] = (await run('queue:status')).stdout.split('\n').map((line) => line.split(' ')[0])
      .filter((each) => each !== 'index' && each !== name)
    const dry = await run('queue:retry', name!, '--dry-run', '--reason', 'large')
    expect(dry.stdout).to.equal(`${name}-1: 3 documents would be tried again\n`)
    const retried = await run('queue:retry', `${name}@1`, '--key', '7', '--json')
    expect(JSON.parse(retried.stdout)).to.eql([{ index: name, version: 1, keys: 1 }])
    const unnamed = await run('queue:clear')
    expect([unnamed.code, unnamed.stderr]).to.eql([
      2,
      'error COMMAND_INVALID: queue:clear forgets documents that are wrong in the index: name them.\n' +
      '  next: npx umzug queue:clear NAME, or with --key KEY, or --all for every aborted document\n',
    ])
    const narrowed = await run('queue:retry', name!, '--index', another!, '--dry-run')
    expect(narrowed.stdout).to.equal('no document is aborted\n')
    const cleared = await run('queue:clear', '--index', name!)
    expect(cleared.stdout).to.contain(`${name}-1: 2 documents are forgotten`)
  })
})
