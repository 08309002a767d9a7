import { expect } from 'chai'
import { createVersion, fillVersion } from '../../src/search/lifecycle.ts'
import { type Core, createCore, defineBooks, remove, rowTitles, titles, write } from '../support/core.ts'
import { type Server, startOwn, waitFor, whyNoOwn } from '../support/world.ts'

describe('loading while Elasticsearch crashes', function () {
  this.timeout(600_000)
  let elasticsearch: Server
  let core: Core

  before(async function () {
    if (await whyNoOwn('elasticsearch') !== undefined) this.skip()
    elasticsearch = await startOwn('elasticsearch')
    core = await createCore({ elasticsearchUrl: elasticsearch.url })
  })

  after(async () => {
    await core?.drop()
    await elasticsearch?.stop()
  })

  it('loads again what was acknowledged and never synced: a version that becomes ready has everything', async () => {
    await core.sql(`INSERT INTO books SELECT n, 't' || n FROM generate_series(1, 4000) n`)
    const definition = defineBooks()
    const deps = {
      ...core.lifecycle({ definitions: [definition], leaseMs: 4_000 }),
      load: { batchSize: 100, rate: 1_000 },
    }
    const version = await createVersion(deps, definition)
    let written = 0
    const off = core.emitter.on('populate:page:complete', ({ documents }) => void (written += documents))
    const filling = fillVersion(deps, version, definition)
    await waitFor(() => written >= 1_500)
    await elasticsearch.kill()
    await write(core, [{ id: 7, title: 'changed' }])
    await remove(core, [8])
    await elasticsearch.start()
    const filled = await filling
    off()
    expect(core.lines.join('\n')).to.contain('is loaded again')
    expect(await titles(core, filled.physical)).to.eql(await rowTitles(core))
    expect(written).to.be.greaterThan(5_000)
  })
})
