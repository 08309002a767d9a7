import { expect } from 'chai'
import nodeProcess from 'node:process'
import { monotonicClock } from '../../adapters/clock.ts'
import type { SearchRequest } from '../../src/ports.ts'
import { definitionAlias, readVersion, type Version, writeAlias } from '../../src/search/versions.ts'
import { createVersion, fillVersion } from '../../src/search/lifecycle.ts'
import { reapplyDeletes } from '../../src/search/reapply.ts'
import { type BadNetwork, isBulk, pass, startBadNetwork } from '../support/bad_network.ts'
import {
  capture,
  type Core,
  createCore,
  createGate,
  defineBooks,
  forgetDeletes,
  pendingRows,
  process,
  readyVersion,
  remove,
  rowTitles,
  serve,
  titles,
  watchSearch,
  watchSource,
  watchStore,
  write,
} from '../support/core.ts'
import { rejection } from '../support/rejection.ts'
import { bookSource } from '../support/simple_source.ts'
import { waitFor } from '../support/world.ts'

describe('populate', () => {
  let core: Core
  let network: BadNetwork
  let revisions = 0
  before(async () => {
    core = await createCore()
    network = await startBadNetwork(core.world.elasticsearchUrl)
  })
  after(async () => {
    await network?.stop()
    await core?.drop()
  })
  afterEach(async () => {
    network.behave(pass)
    await core.sql(`TRUNCATE elastic_umzug.index_versions, elastic_umzug.changes, elastic_umzug.pending,
      elastic_umzug.populate_ranges, elastic_umzug.populate_deletes, books, authors`)
  })

  const rows = (count: number, title = 't') =>
    core.sql(`INSERT INTO books SELECT n, $2 || n FROM generate_series(1, $1) n`, [count, title])
  const fresh = (source = bookSource()) => defineBooks(`r${++revisions}`, source)
  const fill = async (definition = fresh(), changes: Parameters<Core['lifecycle']>[0] = {}) => {
    const deps = core.lifecycle({ definitions: [definition], ...changes })
    return await fillVersion(deps, await createVersion(deps, definition), definition)
  }
  const documents = (version: Version) => titles(core, version.physical)
  const onlyVersion = async () =>
    await readVersion(
      core.store,
      (await core.sql<{ id: string }>('SELECT id FROM elastic_umzug.index_versions'))[0]!.id,
    )

  it('makes a ready version of no rows', async () => {
    expect(await fill()).to.include({ state: 'ready', rowsExpected: 0 })
  })

  it('writes every row, of several ranges at once, and gives the index the settings it wants', async () => {
    await rows(60_000)
    const version = await fill()
    expect(version).to.include({ state: 'ready', rowsExpected: 60_000 })
    expect((await core.client.count({ index: version.physical })).count).to.equal(60_000)
    const settings = (await core.client.indices.getSettings({ index: version.physical }))[version.physical]!.settings!
      .index!
    expect(settings).to.include({ number_of_replicas: '1', gc_deletes: '10m' }).and.not.have.property(
      'refresh_interval',
    )
    expect(await core.sql('SELECT FROM elastic_umzug.populate_ranges')).to.eql([])
    expect((await core.client.indices.getAlias({ name: definitionAlias(version) }))[version.physical]).to.be.an(
      'object',
    )
  })

  it('loads without refreshes and replicas', async () => {
    await rows(1)
    let loading: unknown
    await fill(fresh(watchSource(bookSource(), async () => {
      const { physical } = await onlyVersion()
      loading ??= (await core.client.indices.getSettings({ index: physical }))[physical]!.settings!.index
    })))
    expect(loading).to.include({ number_of_replicas: '0', refresh_interval: '-1' })
  })

  it('lets the cluster remember deletes for longer than a claim lives', async () => {
    const version = await createVersion(core.lifecycle({ leaseMs: 3_600_000 }), core.books)
    const { index } = (await core.client.indices.getSettings({ index: version.physical }))[version.physical]!.settings!
    expect(index).to.include({ gc_deletes: '120m' })
  })

  it('Page against worker: lets a newer document of a worker stand', async () => {
    await rows(1, 'old')
    const definition = fresh(watchSource(bookSource(), async (what) => {
      if (what !== 'page' || done) return
      done = true
      await write(core, [{ id: 1, title: 'new' }])
      await process(core, await serve(core, await onlyVersion(), defineBooks()))
      expect(await documents(await onlyVersion())).to.eql({ 1: 'new' })
    }))
    let done = false
    expect(await documents(await fill(definition))).to.eql({ 1: 'new' })
  })

  it('Page against worker: deletes again what a page brought back after a delete that was forgotten', async () => {
    await rows(2, 'old')
    let brought: unknown
    const search = watchSearch(core.search, async (request: SearchRequest) => {
      if (!isBulk(request) || brought !== undefined) return
      brought = null
      const version = await onlyVersion()
      await remove(core, [1])
      await process(core, await serve(core, version, defineBooks()))
      await forgetDeletes(core, version.physical)
      const answer = await core.search.request(request)
      brought = await documents(version)
      return answer
    })
    const version = await fill(fresh(), { search })
    expect(brought).to.eql({ 1: 'old1', 2: 'old2' })
    expect(await documents(version)).to.eql({ 2: 'old2' })
  })

  it('Re-insert during re-apply: leaves the row', async () => {
    await rows(1)
    const version = await readyVersion(core)
    await core.sql(`INSERT INTO elastic_umzug.populate_deletes (version_id, key) VALUES ($1, '1'), ($1, '5')`, [
      version.id,
    ])
    const gate = createGate()
    const applying = reapplyDeletes(core.lifecycle(), version, watchSource(bookSource(), () => gate.pass()))
    await gate.arrived
    await write(core, [{ id: 5, title: 'again' }])
    await process(core, await serve(core, version))
    gate.open()
    await applying
    expect(await documents(version)).to.eql({ 1: 't1', 5: 'again' })
  })

  it('goes on at its checkpoint after it was stopped', async () => {
    await rows(3_000)
    const stop = new AbortController()
    let read = 0
    const definition = fresh(watchSource(bookSource(), (what) => {
      if (what === 'page' && ++read === 2) stop.abort()
    }))
    expect(await rejection(fill(definition, { signal: stop.signal }))).to.include({ code: 'STOPPED' })
    const [{ documents: stored }] = await core.sql('SELECT documents::int FROM elastic_umzug.populate_ranges') as [
      { documents: number },
    ]
    expect(stored).to.be.within(500, 2_999)
    expect((await onlyVersion()).state).to.equal('populating')
    const started = Date.now()
    expect(await documents(await fill(definition))).to.have.property('3000')
    expect(Date.now() - started).to.be.lessThan(10_000)
  })

  it('Crashed populate: waits for the deadline of a request that a killed run left under way', async () => {
    await rows(3, 'old')
    const definition = fresh()
    let late: (() => Promise<unknown>) | undefined
    let isDead = false
    const store = watchStore(core.store, {
      before: () => {
        if (isDead) throw new Error('killed')
      },
    })
    network.behave(async (passing) => {
      if (!isBulk(passing)) return await passing.forward()
      late = passing.forward
      return await new Promise(() => {})
    })
    const killed = fill(definition, { search: network.search, store, leaseMs: 3_000 }).catch(() => {})
    await waitFor(() => late)
    const started = Date.now()
    isDead = true
    network.behave(pass)
    await remove(core, [1])
    const filling = fill(definition, { leaseMs: 3_000 })
    await monotonicClock.sleep(1_000)
    expect((await onlyVersion()).state).to.equal('populating')
    await late!()
    const version = await filling
    expect(Date.now() - started).to.be.greaterThan(2_400)
    expect(await documents(version)).to.eql(await rowTitles(core))
    await killed
  })

  it('sends a page again after an answer that got lost, with a number of its own', async () => {
    await rows(3)
    const bodies: string[] = []
    network.behave(async (passing) => {
      if (!isBulk(passing)) return await passing.forward()
      bodies.push(passing.body)
      const answer = await passing.forward()
      return bodies.length === 1 ? undefined : answer
    })
    const version = await fill(fresh(), { search: network.search, leaseMs: 500 })
    expect(bodies).to.have.length(2)
    expect(bodies[0]).not.to.equal(bodies[1])
    expect(await documents(version)).to.eql(await rowTitles(core))
  })

  it('sends smaller pages when the cluster is too busy or refuses their size', async () => {
    await rows(400)
    const sizes: number[] = []
    const search = watchSearch(core.search, (request) => {
      if (!isBulk(request)) return
      sizes.push((request.body as string).split('\n').length >> 1)
      if (sizes.length === 1) return { status: 413, body: {} }
      if (sizes.length === 2) return { status: 429, body: {} }
    })
    const version = await fill(fresh(), { search })
    expect(sizes.slice(0, 3)).to.eql([400, 200, 100])
    expect(Object.keys(await documents(version))).to.have.length(400)
  })

  it('ends with the key of a document that the mapping refuses, and goes on once it is mended', async () => {
    await core.sql(`INSERT INTO books VALUES (1, 'fine'), (2, 'refused')`)
    const definition = fresh()
    const error = await rejection(fill(definition))
    expect(error).to.include({ code: 'DOCUMENT_REFUSED' })
    expect(error.message).to.match(/document 2 of .*strict_dynamic_mapping_exception/)
    await write(core, [{ id: 2, title: 'mended' }])
    const started = Date.now()
    expect(await documents(await fill(definition))).to.eql({ 1: 'fine', 2: 'mended' })
    expect(Date.now() - started).to.be.lessThan(10_000)
  })

  it('does not call a version ready that lacks a document which was refused meanwhile', async () => {
    await core.sql(`INSERT INTO books VALUES (1, 'fine')`)
    let written = false
    const definition = fresh(watchSource(bookSource(), async (what) => {
      if (what === 'byKeys') await core.sql('UPDATE elastic_umzug.pending SET attempts = 9 WHERE attempts < 9')
      if (what !== 'page' || written) return
      written = true
      await write(core, [{ id: 1, title: 'refused' }])
    }))
    const error = await rejection(fill(definition, { maxAttempts: 10 }))
    expect(error).to.include({ code: 'DOCUMENT_REFUSED' })
    expect(error.message).to.match(/1: strict_dynamic/)
    await write(core, [{ id: 1, title: 'mended' }])
    expect(await documents(await fill(definition))).to.eql({ 1: 'mended' })
  })

  it('finds what a page wrote after the sweep of a TRUNCATE', async () => {
    await rows(3)
    let truncated = false
    const definition = fresh(watchSource(bookSource(), async (what) => {
      if (what !== 'page' || truncated) return
      truncated = true
      await core.db.transaction(async (tx) => {
        await tx.query('TRUNCATE books')
        await tx.query(`INSERT INTO books VALUES (2, 'new')`)
        await capture(tx, 'public.books', null)
      })
      const options = core.options({ definitions: [definition] })
      const { drain } = await import('../../src/queue/drain.ts')
      await drain(options, { versionIds: [(await onlyVersion()).id], work: true })
    }))
    expect(await documents(await fill(definition))).to.eql({ 2: 'new' })
  })

  it('ends ready under constant writes, and every document is as its row', async () => {
    await rows(2_000)
    let writing = true
    let id = 0
    const writer = (async () => {
      while (writing) {
        id++
        await write(core, [{ id: 1 + id % 3_000, title: `w${id}` }, { id: 5_000 + id, title: 'n' }])
        if (id % 3 === 0) await remove(core, [1 + (id * 7) % 3_000])
      }
    })()
    const definition = fresh()
    const version = await fill(definition)
    expect(version.state).to.equal('ready')
    writing = false
    await writer
    expect(id).to.be.greaterThan(20)
    await process(core, await serve(core, version, definition))
    expect(await documents(version)).to.eql(await rowTitles(core))
  })

  it('names the keys of which the index has a document too many or too few', async () => {
    await rows(5)
    const definition = fresh()
    const deps = core.lifecycle({ definitions: [definition] })
    const search = watchSearch(core.search, async ({ path }) => {
      if (!path.includes('/_flush')) return
      const { physical } = await onlyVersion()
      await core.client.delete({ index: physical, id: '3', version: 9e15, version_type: 'external' })
      await core.client.delete({ index: physical, id: '4', version: 9e15, version_type: 'external' })
      await core.client.index({ index: physical, id: '77', document: { title: 'x' } })
    })
    const error = await rejection(fillVersion({ ...deps, search }, await createVersion(deps, definition), definition))
    expect(error).to.include({ code: 'VERIFY_FAILED' })
    expect(error.message).to.include('77: has a document but no row').and.include('3: has a row but no document')
  })

  it('keeps memory bounded', async function () {
    this.timeout(120_000)
    await core.sql(`INSERT INTO books SELECT n, repeat('x', 500) || n FROM generate_series(1, 100000) n`)
    const before = nodeProcess.memoryUsage().rss
    let most = 0
    const off = core.emitter.on('populate:page:complete', () => most = Math.max(most, nodeProcess.memoryUsage().rss))
    await fill()
    off()
    expect(most).to.be.greaterThan(0)
    expect((most - before) / 2 ** 20).to.be.lessThan(256)
  })

  it('writes through an alias of its own', async () => {
    const version = await fill()
    expect((await core.client.indices.getAlias({ index: version.physical }))[version.physical]!.aliases).to.have
      .property(
        writeAlias(version),
      )
    expect(await pendingRows(core)).to.eql([])
  })
})
