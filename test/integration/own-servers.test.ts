import { expect } from 'chai'
import { createWorld, type Server, startOwn, waitFor, whyNoOwn } from '../support/world.ts'

describe('servers of a spec of its own', function () {
  this.timeout(600_000)
  let postgres: Server
  let elasticsearch: Server

  before(async function () {
    const reason = await whyNoOwn('postgres') ?? await whyNoOwn('elasticsearch')
    if (reason !== undefined) this.skip()
    ;[postgres, elasticsearch] = await Promise.all([startOwn('postgres'), startOwn('elasticsearch')])
  })

  after(() => Promise.all([postgres?.stop(), elasticsearch?.stop()]))

  it('come back on the same address with what was written before they were killed', async () => {
    const world = await createWorld({ databaseUrl: postgres.url, elasticsearchUrl: elasticsearch.url })
    await world.sequelize.query('CREATE TABLE kept AS SELECT 7 AS number')
    await world.client.index({ index: `${world.prefix}kept`, id: '1', document: { number: 7 } })
    await Promise.all([postgres.kill(), elasticsearch.kill()])
    const down = await fetch(elasticsearch.url).then(() => false, () => true)
    expect(down).to.equal(true)
    await Promise.all([postgres.start(), elasticsearch.start()])
    const rows = await waitFor(async () => (await world.sequelize.query('SELECT number FROM kept'))[0])
    expect(rows).to.deep.equal([{ number: 7 }])
    const found = await waitFor(() => world.client.get({ index: `${world.prefix}kept`, id: '1' }))
    expect(found._source).to.deep.equal({ number: 7 })
    await world.drop()
  })
})
