import process from 'node:process'
import { expect } from 'chai'
import { createLibrary, type Library, quieten, settle, told, written } from '../support/library.ts'
import { type Server, startOwn, whyNoOwn } from '../support/servers/servers.ts'
import { waitFor } from '../support/world.ts'

describe('a server killed under load', function () {
  this.timeout(240_000)
  let elasticsearch: Server
  let postgres: Server
  let library: Library

  before(async function () {
    const reasons = [await whyNoOwn('postgres'), await whyNoOwn('elasticsearch')].filter((each) => each !== undefined)
    if (reasons.length > 0) {
      process.stderr.write(`skipped: ${reasons.join('; ')}\n`)
      return this.skip()
    }
    ;[postgres, elasticsearch] = await Promise.all([startOwn('postgres'), startOwn('elasticsearch')])
    library = await createLibrary({ databaseUrl: postgres.url, elasticsearchUrl: elasticsearch.url })
    await library.done(['up'])
  })
  after(async () => {
    await library?.drop()
    await Promise.all([postgres?.stop(), elasticsearch?.stop()])
  })

  const equal = async () => {
    expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
    expect(await library.differences('editions', { rows: 'editions' })).to.deep.equal([])
  }

  it('Elasticsearch: writes go on, applications start without it, workers catch up, no document is lost', async () => {
    const app = await library.app({ SEED: 21 })
    await waitFor(() => app.report().writes > 30)
    await elasticsearch.kill()
    const before = app.report()
    const another = await library.app({ SEED: 22 })
    await waitFor(() => app.report().writes > before.writes + 50 && another.report().writes > 30)
    expect(app.report().failures - before.failures, told(app)).to.be.lessThan(10)
    const [waiting] = await library.sql<{ keys: number }>('SELECT count(*)::int AS keys FROM elastic_umzug.pending')
    expect(waiting!.keys).to.be.greaterThan(0)

    await elasticsearch.start()
    await quieten(app, another)
    await settle(app)
    await settle(another)
    await equal()
  })

  it('PostgreSQL: the application and the worker go on when it is back, no document is lost', async () => {
    const app = await library.app({ SEED: 23 })
    const worker = library.start(['queue:work'])
    await written(worker, /working/)
    await waitFor(() => app.report().writes > 30)
    await postgres.kill()
    await waitFor(() => app.report().failures > 3, { timeoutMs: 30_000 })
    await postgres.start()
    const before = app.report()
    await waitFor(() => app.report().writes > before.writes + 50, { timeoutMs: 30_000 })
    await settle(app)
    worker.kill('SIGTERM')
    expect((await worker.ended).code, told(worker)).to.equal(0)
    await equal()
  })
})
