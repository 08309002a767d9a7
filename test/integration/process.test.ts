import { expect } from 'chai'
import { monotonicClock } from '../../adapters/clock.ts'
import { NoAnswerError } from '../../src/errors.ts'
import type { Source } from '../../src/ports.ts'
import { processBatch, type Served } from '../../src/queue/process.ts'
import { type Version, writeAlias } from '../../src/search/versions.ts'
import { type BadNetwork, isBulk, pass, startBadNetwork } from '../support/bad_network.ts'
import * as core_ from '../support/core.ts'
import {
  type Core,
  createCore,
  createGate,
  dispatchAll,
  expireClaims,
  pendingRows,
  process,
  remove,
  write,
} from '../support/core.ts'

const { forgetDeletes, skewedClock, titles, watchSearch, watchSource, watchStore } = core_

describe('process', () => {
  let core: Core
  let version: Version
  let served: Served
  let network: BadNetwork
  before(async () => {
    core = await createCore()
    version = await core_.readyVersion(core)
    served = await core_.serve(core, version)
    network = await startBadNetwork(core.world.elasticsearchUrl)
  })
  after(async () => {
    await network?.stop()
    await core?.drop()
  })
  afterEach(async () => {
    network.behave(pass)
    await core.sql('UPDATE elastic_umzug.pending SET due_at = clock_timestamp(), aborted_at = NULL')
    await remove(core, (await core.sql<{ id: number }>('SELECT id FROM books')).map((each) => each.id))
    await process(core, served)
    expect(await pendingRows(core)).to.eql([])
    expect(await titles(core, version.physical)).to.eql({})
  })

  const batch = (changes = {}, on: Served = served, size = 500) => processBatch(core.options(changes), on, size)
  const watched = (afterRead: () => unknown): Served => ({ ...served, source: watchSource(served.source, afterRead) })

  it('writes rows and deletes what is gone or out of scope', async () => {
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }, { id: 3, title: 'c' }])
    await process(core, served)
    await core.sql('UPDATE books SET hidden = true WHERE id = 3')
    await core_.capture(core.db, 'public.books', [3], ['hidden'])
    await remove(core, [1])
    await process(core, served)
    expect(await titles(core, version.physical)).to.eql({ 2: 'b' })
  })

  it('claims, then draws, then reads, then sends, then settles, each by itself', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    const steps: string[] = []
    const store = watchStore(core.store, { before: (sql) => void steps.push(nameOf(sql)) })
    const search = watchSearch(core.search, ({ path }) => void steps.push(path.split('/').at(-1)!))
    await batch({ store, search })
    expect(steps).to.eql(['claim', 'draw', 'read', '_bulk', 'settle'])
  })

  it('Zombie: sends nothing past its deadline, though its claim was taken by another', async () => {
    await write(core, [{ id: 1, title: 'c2' }])
    await dispatchAll(core)
    const gate = createGate()
    const clock = skewedClock()
    let sent = 0
    const search = watchSearch(core.search, () => void sent++)
    const zombie = batch({ clock, search }, watched(() => gate.pass()))
    await gate.arrived
    await expireClaims(core)
    await remove(core, [1])
    await process(core, served)
    await forgetDeletes(core, version.physical)
    clock.skewMs = 24_001
    gate.open()
    expect((await zombie).trouble).to.include({ scope: 'size' })
    expect(sent).to.equal(0)
    expect(await titles(core, version.physical)).to.eql({})
  })

  it('counts its deadline from before the claim', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    const clock = skewedClock()
    const store = watchStore(core.store, { after: (sql) => void (nameOf(sql) === 'claim' && (clock.skewMs += 24_001)) })
    expect((await batch({ clock, store })).trouble).to.include({ scope: 'size' })
  })

  it('gives a request no more time than its claim has left', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    const clock = skewedClock()
    let timeoutMs = 0
    const search = watchSearch(core.search, (request) => void (timeoutMs = request.timeoutMs!))
    await batch({ clock, search }, watched(() => clock.skewMs += 20_000))
    expect(timeoutMs).to.be.within(1_000, 4_000)
  })

  for (const what of ['dropped before', 'dropped after'] as const) {
    it(`Answered retry: keeps the claim of a request without answer, ${what} it was carried out`, async () => {
      await write(core, [{ id: 1, title: 'a' }])
      await dispatchAll(core)
      network.behave(async (passing) => {
        if (!isBulk(passing)) return await passing.forward()
        if (what === 'dropped after') await passing.forward()
        return undefined
      })
      expect((await batch({ search: network.search })).trouble).to.include({ scope: 'search' })
      const [row] = await pendingRows(core)
      expect(row!.token).not.to.equal(null)
      network.behave(pass)
      await remove(core, [1])
      await dispatchAll(core)
      expect(await batch()).to.include({ claimed: 0 })
    })
  }

  it('keeps the claim when something in between answers 503', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    network.behave(() => Promise.resolve({ status: 503, body: '{}' }))
    await batch({ search: network.search })
    expect((await pendingRows(core))[0]!.token).not.to.equal(null)
  })

  it('sends a request once: a copy that arrives late finds a newer document', async () => {
    await write(core, [{ id: 1, title: 'old' }])
    await dispatchAll(core)
    let copies = 0
    let late: (() => Promise<unknown>) | undefined
    network.behave(async (passing) => {
      if (!isBulk(passing)) return await passing.forward()
      copies++
      late = passing.forward
      return undefined
    })
    await batch({ search: network.search })
    expect(copies).to.equal(1)
    await expireClaims(core)
    await write(core, [{ id: 1, title: 'new' }])
    await process(core, served)
    await late!()
    expect(await titles(core, version.physical)).to.eql({ 1: 'new' })
  })

  it('releases at once what surely never left, and counts no attempt', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    await network.close()
    const { trouble } = await batch({ search: network.search })
    await network.open()
    expect(trouble).to.include({ scope: 'search' })
    expect((await pendingRows(core))[0]).to.include({ token: null, attempts: 0 })
  })

  it('Mid-flight update: leaves a key that changed between read and answer, and brings the change', async () => {
    await write(core, [{ id: 1, title: 'c2' }])
    await dispatchAll(core)
    await batch(
      {},
      watched(async () => {
        await write(core, [{ id: 1, title: 'c3' }])
        await dispatchAll(core)
      }),
    )
    expect((await pendingRows(core))[0]).to.include({ token: null, generation: '2' })
    await process(core, served)
    expect(await titles(core, version.physical)).to.eql({ 1: 'c3' })
  })

  it('ABA: settles nothing of a later claim, though it has the same generation', async () => {
    await write(core, [{ id: 1, title: 'c2' }])
    await dispatchAll(core)
    const gate = createGate()
    const store = watchStore(core.store, { before: (sql) => nameOf(sql) === 'settle' ? gate.pass() : undefined })
    const slow = batch({ store })
    await gate.arrived
    await expireClaims(core)
    await process(core, served)
    await write(core, [{ id: 1, title: 'c3' }])
    await dispatchAll(core)
    const second = createGate()
    const other = batch({}, watched(() => second.pass()))
    await second.arrived
    gate.open()
    await slow
    expect(await pendingRows(core)).to.have.length(1)
    second.open()
    await other
    expect(await titles(core, version.physical)).to.eql({ 1: 'c3' })
  })

  it('takes a newer document for a success', async () => {
    await write(core, [{ id: 1, title: 'c2' }])
    await dispatchAll(core)
    await batch(
      {},
      watched(async () => {
        await core.client.index({
          index: version.physical,
          id: '1',
          version: 8e15,
          version_type: 'external',
          document: { title: 'newer' },
        })
      }),
    )
    expect(await pendingRows(core)).to.eql([])
    expect(await titles(core, version.physical)).to.eql({ 1: 'newer' })
    await core.client.delete({ index: version.physical, id: '1', version: 8e15 + 2, version_type: 'external' })
    await forgetDeletes(core, version.physical)
  })

  it('retries a refused document with back-off, then aborts it, while the others go on', async () => {
    const events: string[] = []
    const off = core.emitter.on('queue:document:aborted', ({ key, reason }) => events.push(`${key} ${reason}`))
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'refused' }, { id: 3, title: 'unmakable' }, {
      id: 4,
      title: 'b',
    }])
    await dispatchAll(core)
    for (let at = 0; at < 3; at++) {
      expect(await batch()).not.to.have.property('trouble')
      await core.sql('UPDATE elastic_umzug.pending SET due_at = clock_timestamp() WHERE aborted_at IS NULL')
    }
    off()
    expect(await titles(core, version.physical)).to.eql({ 1: 'a', 4: 'b' })
    expect(await pendingRows(core)).to.have.length(2)
    expect(events.sort()).to.have.length(2)
    expect(events[0]).to.match(/^2 strict_dynamic_mapping_exception/)
    expect(events[1]).to.equal('3 unmakable')
    await write(core, [{ id: 2, title: 'mended' }, { id: 3, title: 'mended' }])
    await process(core, served)
    expect(await titles(core, version.physical)).to.include({ 2: 'mended', 3: 'mended' })
  })

  it('counts no attempt when the index is blocked, and asks for a pause', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    await core.client.indices.putSettings({ index: version.physical, settings: { blocks: { write: true } } })
    const { trouble } = await batch()
    await core.client.indices.putSettings({ index: version.physical, settings: { blocks: { write: false } } })
    expect(trouble).to.include({ scope: 'index' })
    expect((await pendingRows(core))[0]).to.include({ token: null, attempts: 0 })
  })

  it('keeps the claim of a single document whose outcome nobody knows', async () => {
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
    await dispatchAll(core)
    const items = [{ index: { status: 503, error: { type: 'unavailable_shards_exception', reason: 'x' } } }, {
      index: { status: 201 },
    }]
    const search = watchSearch(
      core.search,
      (request) => isBulk(request) ? { status: 200, body: { errors: true, items } } : undefined,
    )
    await batch({ search })
    expect((await pendingRows(core)).map((each) => [each.key, each.token !== null])).to.eql([['1', true]])
  })

  it('Drop: creates no index when a delete comes through an alias that is gone', async () => {
    await remove(core, [77])
    await dispatchAll(core)
    const gone = `${core.world.prefix}books-99`
    await batch({}, { ...served, version: { ...version, physical: gone } })
    expect(await core.client.indices.exists({ index: writeAlias({ physical: gone }) })).to.equal(false)
    expect((await pendingRows(core))[0]).to.include({ attempts: 0 })
  })

  it('lets a row that cannot be read hold up only itself', async () => {
    const poisoned: Source = {
      ...served.source,
      byKeys: async (db, keys, number) => {
        await db.query(`SELECT CASE WHEN '3' = ANY ($1::text[]) THEN (1 / 0)::text END`, [keys])
        return await served.source.byKeys(db, keys, number)
      },
    }
    const on = { ...served, source: poisoned }
    await write(core, [1, 2, 3, 4].map((id) => ({ id, title: 't' })))
    await dispatchAll(core)
    expect((await batch({}, on)).trouble).to.include({ scope: 'rows' })
    expect((await pendingRows(core)).every((each) => each.attempts === 0)).to.equal(true)
    for (let at = 0; at < 16; at++) {
      await core.sql('UPDATE elastic_umzug.pending SET due_at = clock_timestamp() WHERE aborted_at IS NULL')
      await batch({}, on, 1)
    }
    expect((await pendingRows(core)).map((each) => [each.key, each.aborted])).to.eql([['3', true]])
    await write(core, [{ id: 3, title: 't' }])
  })

  it('aborts a row whose own values make the query of its source fail', async () => {
    const poisoned: Source = {
      ...served.source,
      byKeys: async (db, keys, number) => {
        await db.query('SELECT (SELECT key FROM unnest($1::text[]) AS k(key), generate_series(1, 2))', [keys])
        return await served.source.byKeys(db, keys, number)
      },
    }
    await write(core, [{ id: 1, title: 't' }])
    await dispatchAll(core)
    for (let at = 0; at < 3; at++) {
      await core.sql('UPDATE elastic_umzug.pending SET due_at = clock_timestamp() WHERE aborted_at IS NULL')
      expect((await batch({}, { ...served, source: poisoned }, 1)).trouble).to.include({ scope: 'rows' })
    }
    expect((await pendingRows(core)).map((each) => [each.key, each.aborted])).to.eql([['1', true]])
    await write(core, [{ id: 1, title: 't' }])
  })

  it('says which size is too large for the cluster, and releases the rows', async () => {
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
    await dispatchAll(core)
    const search = watchSearch(core.search, () => ({ status: 413, body: {} }))
    expect((await batch({ search })).trouble).to.include({ scope: 'size' })
    expect((await pendingRows(core)).map((each) => each.attempts)).to.eql([0, 0])
  })

  it('treats an unknown error of the client as no answer', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    const search = watchSearch(core.search, () => {
      throw new NoAnswerError('timed out', true)
    })
    await batch({ search, clock: monotonicClock })
    expect((await pendingRows(core))[0]!.token).not.to.equal(null)
  })
})

function nameOf(sql: string): string {
  if (/WITH due AS/.test(sql)) return 'claim'
  if (/document_clock/.test(sql)) return 'draw'
  if (/WITH done AS/.test(sql)) return 'settle'
  if (/FROM public.books/.test(sql)) return 'read'
  return sql
}
