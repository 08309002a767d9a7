import { expect } from 'chai'
import { createLibrary, type Library, told } from '../support/library.ts'
import { waitFor } from '../support/world.ts'

const off = { ELASTIC_UMZUG: 'off' }

describe('ELASTIC_UMZUG=off', function () {
  this.timeout(120_000)
  let library: Library

  before(async () => library = await createLibrary())
  after(() => library.drop())

  const indexes = async () => (await fetch(`${library.elasticsearchUrl}/${library.prefix}*`)).json()

  it('case 19: migrates the database alone, touches no index, and says so once', async () => {
    const ended = await library.cli(['up'], off)
    expect(ended.code, told(ended)).to.equal(0)
    expect(ended.stdout).to.match(/[1-9] migrations applied, 0 indexes changed/)
    expect(ended.stderr.match(/ELASTIC_UMZUG=off/g)).to.have.length(1)
    expect(await indexes()).to.deep.equal({})
    for (
      const command of [['es:create'], ['es:update'], ['es:activate'], ['es:verify'], ['queue:work'], ['queue:retry']]
    ) {
      const done = await library.cli(command, { ...off, ELASTICSEARCH_URL: 'http://127.0.0.1:1' })
      expect(done.code, `${command}: ${told(done)}`).to.equal(0)
      expect(done.stderr).to.include('ELASTIC_UMZUG=off')
    }
    expect(await indexes()).to.deep.equal({})
  })

  it('has an application write without search; verify finds what was written meanwhile', async () => {
    await library.done(['up'])
    const app = await library.app({ ...off, ELASTICSEARCH_URL: 'http://127.0.0.1:1' })
    await waitFor(() => app.report().writes >= 20)
    app.kill('SIGTERM')
    expect((await app.ended).code).to.equal(0)
    expect(app.stderr).to.include('ELASTIC_UMZUG=off')
    const [changes] = await library.sql<{ count: string }>('SELECT count(*) FROM elastic_umzug.changes')
    expect(changes!.count).to.equal('0')
    expect(await library.differences('books', { rows: 'books' })).not.to.deep.equal([])
    await library.done(['es:verify', '--repair'])
    expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
  })
})
