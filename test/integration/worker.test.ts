import { expect } from 'chai'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import type { Events } from '../../src/events.ts'
import { markNow, unprocessed } from '../../src/queue/changes.ts'
import { drain } from '../../src/queue/drain.ts'
import { startWorker, type Worker, type WorkerOptions } from '../../src/queue/worker.ts'
import { enqueue } from '../../src/queue/pending.ts'
import { converge } from '../../src/search/lifecycle.ts'
import type { Version } from '../../src/search/versions.ts'
import { type BadNetwork, hang, isBulk, pass, startBadNetwork } from '../support/bad_network.ts'
import {
  capture,
  type Core,
  createCore,
  createGate,
  defineBooks,
  pendingRows,
  readyVersion,
  remove,
  rowTitles,
  titles,
  watchSearch,
  watchSource,
  watchStore,
  write,
} from '../support/core.ts'
import { bookSource } from '../support/simple_source.ts'
import { waitFor } from '../support/world.ts'

describe('worker', () => {
  let core: Core
  let network: BadNetwork
  let version: Version
  let workers: Worker[]
  beforeEach(async () => {
    core = await createCore()
    network = await startBadNetwork(core.world.elasticsearchUrl)
    workers = []
    version = await readyVersion(core)
  })
  afterEach(async () => {
    network.behave(pass)
    // Whatever hangs is broken off.
    await network.close()
    await network.open()
    await Promise.all(workers.map((each) => each.stop()))
    await network.stop()
    await core.drop()
  })

  const start = (changes: Partial<WorkerOptions> = {}): Worker => {
    const worker = startWorker(core.options({ search: network.search, leaseMs: 2_000, ...changes }))
    workers.push(worker)
    return worker
  }
  const insync = (of: Version = version) =>
    waitFor(async () => {
      const left = await unprocessed(core.store, [of.id], await markNow(core.store))
      return left.changes + left.pending === 0
    }, { timeoutMs: 20_000 })
  const heard = (name: keyof Events) => {
    const events: unknown[] = []
    core.emitter.on(name, (event) => events.push(event))
    return events
  }

  it('brings every change of many writers, with another worker beside it', async () => {
    start()
    start()
    await Promise.all(Array.from({ length: 5 }, async (_, writer) => {
      for (let at = 0; at < 20; at++) {
        await write(core, [{ id: (at * 7 + writer) % 30, title: `${writer} ${at}` }])
        if (at % 5 === 0) await remove(core, [(at + writer) % 30])
      }
    }))
    await insync()
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
  })

  it('looks at once when it is woken', async () => {
    const worker = start({ pollMs: 60_000 })
    await waitFor(() => true)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await write(core, [{ id: 1, title: 'a' }])
    worker.wake()
    await insync()
    expect(await titles(core, version.physical)).to.eql({ 1: 'a' })
  })

  for (
    const [how, break_] of Object.entries({
      'refuses connections': () => network.close(),
      'answers 503': () => network.behave(() => Promise.resolve({ status: 503, body: '{}' })),
      hangs: () => network.behave(hang),
      'breaks connections off': () => network.behave(() => Promise.resolve(undefined)),
    })
  ) {
    it(`waits with back-off while Elasticsearch ${how}, and catches up`, async () => {
      const [away, back] = [heard('queue:search:away'), heard('queue:search:back')]
      await break_()
      start()
      await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
      await waitFor(() => away.length > 0)
      await write(core, [{ id: 1, title: 'later' }])
      await waitFor(async () => (await core.sql('SELECT FROM elastic_umzug.changes')).length === 0)
      network.behave(pass)
      await network.open()
      await insync()
      expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
      await waitFor(() => back.length > 0)
      expect(away.length).to.be.lessThan(40)
      expect((await pendingRows(core)).length).to.equal(0)
    })
  }

  it('goes on with one version while requests to another hang', async () => {
    const other = defineBooks('other')
    const second = await readyVersion(core, other)
    network.behave((passing) =>
      isBulk(passing) && passing.path.includes(version.physical) ? hang(passing) : passing.forward()
    )
    start({ definitions: [core.books, other], concurrency: 1, leaseMs: 60_000 })
    await write(core, [{ id: 1, title: 'a' }])
    await insync(second)
    await write(core, [{ id: 1, title: 'b' }])
    await insync(second)
    expect(await titles(core, second.physical)).to.eql({ 1: 'b' })
    expect((await pendingRows(core)).map((each) => each.version)).to.eql([version.id])
  })

  it('leaves versions of other code alone', async () => {
    const second = await readyVersion(core, defineBooks('other'))
    start()
    await write(core, [{ id: 1, title: 'a' }])
    await insync()
    expect((await pendingRows(core)).map((each) => each.version)).to.eql([second.id])
  })

  it('goes on with the other documents while some are refused again and again', async () => {
    start({ maxAttempts: 100 })
    await write(core, [{ id: 1, title: 'refused' }, { id: 2, title: 'b' }])
    for (let at = 0; at < 5; at++) await write(core, [{ id: 10 + at, title: 'c' }])
    await waitFor(async () => (await pendingRows(core)).length === 1)
    expect(Object.keys(await titles(core, version.physical))).to.have.length(6)
  })

  it('finds by halves a row that makes reading fail, and brings the others', async () => {
    const definition = {
      ...core.books,
      source: {
        ...core.books.source,
        byKeys: async (...[db, keys, number]: Parameters<typeof core.books.source.byKeys>) => {
          await db.query(`SELECT CASE WHEN '3' = ANY ($1::text[]) THEN (1 / 0)::text END`, [keys])
          return await core.books.source.byKeys(db, keys, number)
        },
      },
    }
    start({ definitions: [definition], batchSize: 16 })
    await write(core, Array.from({ length: 12 }, (_, at) => ({ id: at, title: 't' })))
    await waitFor(async () => Object.keys(await titles(core, version.physical)).length === 11, { timeoutMs: 20_000 })
    await waitFor(async () => (await pendingRows(core)).map((each) => each.key).join() === '3')
  })

  it('finds the size of batch that a cluster takes', async () => {
    let refused = 0
    network.behave(({ path, body, forward }) => {
      if (!path.includes('_bulk') || body.length <= 400) return forward()
      refused++
      return Promise.resolve({ status: 413, body: '{}' })
    })
    start()
    await write(core, Array.from({ length: 64 }, (_, at) => ({ id: at, title: 'x'.repeat(50) })))
    await insync()
    expect(Object.keys(await titles(core, version.physical))).to.have.length(64)
    expect(refused).to.be.lessThan(20)
  })

  it('survives the loss of all its connections to PostgreSQL', async () => {
    const errors = heard('queue:worker:error')
    start()
    await write(core, [{ id: 1, title: 'a' }])
    await insync()
    for (let at = 0; at < 3; at++) {
      await core.sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      ).catch(() => {})
      await waitFor(() => write(core, [{ id: 10 + at, title: 'b' }]).then(() => true))
    }
    await insync()
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
    expect(errors.length).to.be.lessThan(30)
  })

  it('stops after the batch under way, and starts none after', async () => {
    const gate = createGate()
    const definition = { ...core.books, source: watchSource(bookSource(), () => gate.pass()) }
    const worker = start({ definitions: [definition], batchSize: 1, concurrency: 1 })
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
    await gate.arrived
    let stopped = false
    const stopping = worker.stop().then(() => stopped = true)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(stopped).to.equal(false)
    gate.open()
    await stopping
    expect(await pendingRows(core)).to.have.length(1)
    expect((await pendingRows(core))[0]!.token).to.equal(null)
  })

  it('is replaced by another when it dies between request and settling', async () => {
    const store = watchStore(core.store, {
      before: (sql) => /WITH done AS/.test(sql) ? new Promise(() => {}) : undefined,
    })
    const dead = startWorker(core.options({ store, leaseMs: 1_000 }))
    await write(core, [{ id: 1, title: 'a' }])
    await waitFor(async () => (await pendingRows(core))[0]?.token)
    await waitFor(async () => (await titles(core, version.physical))['1'])
    void dead.stop()
    await write(core, [{ id: 1, title: 'b' }])
    start()
    await insync()
    expect(await titles(core, version.physical)).to.eql({ 1: 'b' })
  })

  it('sweeps the index after a TRUNCATE, while others insert', async () => {
    await write(core, Array.from({ length: 2_500 }, (_, at) => ({ id: at, title: 'old' })))
    await drain(core.options(), { versionIds: [version.id], work: true })
    start()
    start()
    await core.db.transaction(async (tx) => {
      await tx.query('TRUNCATE books')
      await capture(tx, 'public.books', null)
    })
    for (let at = 0; at < 20; at++) {
      await write(core, [{ id: at * 100, title: 'new' }, { id: 10_000 + at, title: 'new' }])
    }
    await insync()
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
    expect(await core.sql('SELECT FROM elastic_umzug.changes')).to.eql([])
  })

  it('begins a sweep again that was broken off', async () => {
    await write(core, Array.from({ length: 10 }, (_, at) => ({ id: at, title: 'old' })))
    await drain(core.options(), { versionIds: [version.id], work: true })
    await core.db.transaction(async (tx) => {
      await tx.query('TRUNCATE books')
      await capture(tx, 'public.books', null)
    })
    network.behave((passing) => passing.path.includes('_pit') ? Promise.resolve(undefined) : passing.forward())
    const errors = heard('queue:worker:error')
    start()
    await waitFor(() => errors.length > 0)
    network.behave(pass)
    await insync()
    expect(await titles(core, version.physical)).to.eql({})
  })

  it('leaves a sweep to others when it is stopped', async () => {
    await write(core, Array.from({ length: 2_500 }, (_, at) => ({ id: at, title: 'old' })))
    await drain(core.options(), { versionIds: [version.id], work: true })
    await core.db.transaction(async (tx) => {
      await tx.query('TRUNCATE books')
      await capture(tx, 'public.books', null)
    })
    let pages = 0
    let stopping: Promise<void> | undefined
    const search = watchSearch(core.search, ({ path }) => {
      if (path === '/_search' && ++pages === 1) stopping = workers[0]!.stop()
    })
    start({ search })
    await waitFor(() => pages > 0)
    await stopping
    expect(pages).to.equal(1)
    start()
    await insync()
    expect(await titles(core, version.physical)).to.eql({})
  })

  it('sweeps the other indexes though one is lost and one is closed', async () => {
    await write(core, [{ id: 1, title: 'old' }])
    const closed = await readyVersion(core, defineBooks('closed'))
    const kept = await readyVersion(core, defineBooks('kept'))
    await core.client.indices.delete({ index: version.physical })
    await core.client.indices.close({ index: closed.physical })
    await core.db.transaction(async (tx) => {
      await tx.query('TRUNCATE books')
      await capture(tx, 'public.books', null)
    })
    const errors = heard('queue:worker:error')
    start({ definitions: ['closed', 'kept'].map((each) => defineBooks(each)).concat(core.books) })
    await insync(kept)
    expect(await titles(core, kept.physical)).to.eql({})
    expect(errors.length).to.be.at.least(2)
    expect(await core.sql('SELECT FROM elastic_umzug.changes WHERE sweep')).to.have.length(2)
  })

  it('goes on at full pace though one index is lost and one is closed, and says which', async () => {
    const closed = await readyVersion(core, defineBooks('closed'))
    const kept = await readyVersion(core, defineBooks('kept'))
    await core.client.indices.delete({ index: version.physical })
    await core.client.indices.close({ index: closed.physical })
    const [away, errors] = [heard('queue:search:away'), heard('queue:worker:error') as Events['queue:worker:error'][]]
    const told = ({ physical }: Version) =>
      errors.filter((each) => String(each.error).includes(`${physical} does not take writes`)).length
    start({ definitions: ['closed', 'kept'].map((each) => defineBooks(each)).concat(core.books), batchSize: 5 })
    await write(core, Array.from({ length: 20 }, (_, at) => ({ id: at, title: 't' })))
    await waitFor(() => told(version) > 1 && told(closed) > 1)
    await insync(kept)
    expect(away).to.eql([])
    expect((await pendingRows(core)).every((each) => each.attempts === 0 && !each.aborted)).to.equal(true)
    await core.client.indices.open({ index: closed.physical })
    await insync(closed)
    expect(await titles(core, closed.physical)).to.eql(await rowTitles(core))
  })

  it('drains without waiting for aborted keys, while workers of the application work too', async () => {
    start({ maxAttempts: 1 })
    await write(core, [{ id: 1, title: 'refused' }, { id: 2, title: 'b' }])
    const left = await drain(core.options(), { versionIds: [version.id], work: true, timeoutMs: 10_000 })
    expect(left).to.eql({ changes: 0, pending: 0, aborted: 1 })
  })

  it('drains up to its mark under constant writes to one key', async () => {
    let writing = true
    let count = 0
    const writer = (async () => {
      while (writing) await write(core, [{ id: 1, title: `t${count++}` }])
    })()
    const left = await drain(core.options(), { versionIds: [version.id], work: true, timeoutMs: 10_000 })
    writing = false
    await writer
    expect(left).to.include({ changes: 0, pending: 0 })
  })

  it('works with a pool of one connection', async () => {
    const { Sequelize } = await import('sequelize')
    const sequelize = new Sequelize(core.world.databaseUrl, { logging: false, pool: { max: 1 } })
    try {
      const store = { ...core.store, db: fromSequelize(sequelize) }
      const deps = { ...core.lifecycle({ store }), store }
      await write(core, [{ id: 1, title: 'a' }])
      await converge(deps, true)
      start({ store })
      await core.db.transaction(async (tx) => {
        await tx.query('TRUNCATE books')
        await capture(tx, 'public.books', null)
      })
      await insync()
      await Promise.all(workers.map((each) => each.stop()))
    } finally {
      await sequelize.close()
    }
  })

  it('handles keys with every kind of character', async () => {
    const keys = ['a"b', 'a\\b', 'ä/ö', 'a\nb', '😀', "it's", 'a,b', ' ']
    await enqueue(core.store, version.id, keys, { origin: '1', madeAt: new Date().toISOString() })
    const source = { ...bookSource(), byKeys: () => Promise.resolve({ count: 0, body: '', keys: [], last: null }) }
    start({ definitions: [{ ...core.books, source }] })
    await insync()
  })
})
