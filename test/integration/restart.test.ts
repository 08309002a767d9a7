import { expect } from 'chai'
import { watchSearch } from '../../src/commands/watch.ts'
import type { ElasticUmzug } from '../../src/plugin.ts'
import { startWorker } from '../../src/queue/worker.ts'
import { activateVersion } from '../../src/search/lifecycle.ts'
import { lookAtMarks } from '../../src/search/marker.ts'
import type { Version } from '../../src/search/versions.ts'
import { type Core, createCore, defineBooks, readyVersion, rowTitles, titles, write } from '../support/core.ts'
import { baseOf, pluginOf } from '../support/plugin.ts'
import { waitFor } from '../support/wait.ts'

describe('a restart of Elasticsearch', () => {
  let core: Core
  let version: Version
  let plugins: ElasticUmzug[] = []
  before(async () => {
    core = await createCore()
    await write(core, Array.from({ length: 300 }, (_, n) => ({ id: n + 1, title: `book ${n + 1}` })))
    version = await readyVersion(core)
    await activateVersion(core.lifecycle(), version)
    await lookAtMarks({ store: core.store, search: core.search, prefix: core.world.prefix }, 0)
  })
  afterEach(async () => {
    await Promise.all(plugins.map((each) => each.stop()))
    plugins = []
  })
  after(() => core.drop())

  const start = async (...started: ElasticUmzug[]) => {
    plugins.push(...started)
    await Promise.all(started.map((each) => each.start()))
  }
  // What a node tells of itself is new after a restart: as if the last look had been before it.
  const restarted = () =>
    core.sql(`UPDATE elastic_umzug.search_marks
      SET nodes = (SELECT jsonb_object_agg(key, 'before') FROM jsonb_each(nodes)), looked_at = '-infinity'`)
  const checks = async () =>
    await core.sql<{ target: string; state: string; log: string }>(
      `SELECT target, state, log FROM elastic_umzug.actions WHERE action = 'es:verify ids' ORDER BY id`,
    )
  const waiting = () => core.sql('SELECT FROM elastic_umzug.id_checks')

  it('is followed by a check of ids, once in the fleet: a deleted document that came back goes, by itself', async () => {
    await core.client.index({ index: version.physical, id: '999', document: { title: 'resurrected' }, refresh: true })
    await core.client.delete({ index: version.physical, id: '5', refresh: true })
    await restarted()
    await lookAtMarks({ store: core.store, search: core.search, prefix: core.world.prefix }, 0)
    expect((await waiting()).length).to.equal(1)
    const fleet = [pluginOf(core), pluginOf(core), pluginOf(core)]
    const found: object[] = []
    for (const each of fleet) each.on('verify:ids:complete', (event) => void found.push(event))
    await start(...fleet)
    await waitFor(async () => found.length > 0 && (await waiting()).length === 0)
    expect(found).to.eql([{ index: 'books', version: 1, missing: 1, extra: 1 }])
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
    const recorded = await checks()
    expect(recorded.map(({ target, state }) => ({ target, state }))).to.eql([
      { target: version.physical, state: 'complete' },
    ])
    expect(recorded[0]!.log).to.contain('written anew: 1 missing, 1 extra')
  })

  it('is noticed when Elasticsearch is back', async () => {
    const base = baseOf(core)
    const watch = watchSearch(base)
    const looked = async () =>
      (await core.sql(`SELECT FROM elastic_umzug.search_marks WHERE looked_at > $1::timestamptz`, [since])).length > 0
    const [{ since }] = await core.sql<{ since: string }>('SELECT clock_timestamp()::text AS since') as [
      { since: string },
    ]
    const worker = startWorker(base.workerOptions())
    watch.start()
    await waitFor(looked)
    let changes = 0
    base.emitter.on('search:nodes:changed', () => changes++)
    await restarted()
    await core.client.index({ index: version.physical, id: '998', document: { title: 'resurrected' }, refresh: true })
    // What the worker of this process tells once the cluster takes writes again.
    base.emitter.emit('queue:search:back', {})
    await waitFor(async () => changes > 0 && (await waiting()).length === 0)
    await Promise.all([watch.stop(), worker.stop()])
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
  })

  it('waits for somebody who has the code of a version', async () => {
    await restarted()
    const other = pluginOf(core, { config: { indexes: [defineBooks('other')] } })
    await start(other)
    await waitFor(async () => (await waiting()).length === 1)
    await other.stop()
    plugins = []
    expect((await waiting()).length).to.equal(1)
    await start(pluginOf(core))
    await waitFor(async () => (await waiting()).length === 0)
  })

  it('asks for nothing when nodes are as they were', async () => {
    const before = (await checks()).length
    await lookAtMarks({ store: core.store, search: core.search, prefix: core.world.prefix }, 0)
    expect(await waiting()).to.eql([])
    expect((await checks()).length).to.equal(before)
  })
})
