import { expect } from 'chai'
import { fileURLToPath } from 'node:url'
import { dispatch } from '../../src/queue/changes.ts'
import { processBatch, type Served } from '../../src/queue/process.ts'
import { createVersion, fillVersion } from '../../src/search/lifecycle.ts'
import { type Version, writeAlias } from '../../src/search/versions.ts'
import { type BadNetwork, isBulk, pass, type Passing, startBadNetwork } from '../support/bad_network.ts'
import {
  type Core,
  createCore,
  defineBooks,
  dispatchAll,
  forgetDeletes,
  pendingRows,
  process,
  readyVersion,
  remove,
  serve,
  titles,
  watchStore,
  write,
} from '../support/core.ts'
import { createWorld, spawnCli, waitFor, type World } from '../support/world.ts'

describe('protocol', () => {
  let core: Core
  let network: BadNetwork
  let version: Version
  let served: Served
  let revisions = 0
  before(async () => {
    core = await createCore()
    network = await startBadNetwork(core.world.elasticsearchUrl)
  })
  beforeEach(async () => {
    version = await readyVersion(core, defineBooks(`r${++revisions}`))
    served = await serve(core, version)
  })
  afterEach(async () => {
    network.behave(pass)
    await core.sql(`TRUNCATE elastic_umzug.index_versions, elastic_umzug.changes, elastic_umzug.pending,
      elastic_umzug.populate_ranges, elastic_umzug.populate_deletes, books, authors`)
  })
  after(async () => {
    await network.stop()
    await core.drop()
  })

  // Cuts the connection of the first bulk request and keeps the request.
  const keepFirst = () => {
    const kept: { forward?: Passing['forward'] } = {}
    network.behave((passing) => {
      if (!isBulk(passing) || kept.forward) return passing.forward()
      kept.forward = passing.forward
      return Promise.resolve(undefined)
    })
    return kept
  }
  // As a drop does, but for its patience.
  const drop = async (dropped: Version) => {
    await core.sql(`UPDATE elastic_umzug.index_versions SET state = 'dropped' WHERE id = $1`, [dropped.id])
    await core.client.indices.delete({ index: dropped.physical })
  }
  const names = async (dropped: Version) =>
    Object.keys(await core.client.indices.get({ index: `${dropped.physical}*`, expand_wildcards: 'all' }))

  it('Answered retry: the key is with its claim until the first copy is dead, though a second succeeded', async () => {
    await write(core, [{ id: 1, title: 'c2' }])
    await dispatchAll(core)
    const leaseMs = 2_000
    const kept = keepFirst()
    const options = core.options({ search: network.search, leaseMs })
    const started = Date.now()
    expect((await processBatch(options, served, 500)).trouble).to.include({ scope: 'search' })
    // The second copy of the same request succeeds; its sender does not hear of it.
    await kept.forward!()
    await remove(core, [1])
    await dispatchAll(core)
    expect((await processBatch(options, served, 500)).claimed).to.equal(0)
    await waitFor(async () => (await processBatch(options, served, 500)).claimed === 1)
    expect(Date.now() - started).to.be.at.least(leaseMs - 50)
    expect(await pendingRows(core)).to.eql([])
    expect(await titles(core, version.physical)).to.eql({})
  })

  it('Answered retry: what the first copy writes within its time is made good by the next claim', async () => {
    await write(core, [{ id: 1, title: 'c2' }])
    await dispatchAll(core)
    const kept = keepFirst()
    const options = core.options({ search: network.search, leaseMs: 1_000 })
    await processBatch(options, served, 500)
    await remove(core, [1])
    await dispatchAll(core)
    await forgetDeletes(core, version.physical)
    await kept.forward!()
    await waitFor(async () => (await processBatch(options, served, 500)).claimed === 1)
    expect(await titles(core, version.physical)).to.eql({})
  })

  it('Version list: a version that is registered just before the statement that dispatches gets the change', async () => {
    await write(core, [{ id: 1, title: 'c2' }])
    const late = defineBooks(`r${++revisions}`)
    let registered: Version | undefined
    const store = watchStore(core.store, {
      before: async (sql) => {
        if (/"dispatch"/.test(sql)) registered ??= await createVersion(core.lifecycle({ definitions: [late] }), late)
      },
    })
    await dispatch(store)
    const keys = (await pendingRows(core)).filter((each) => each.version === registered!.id).map((each) => each.key)
    expect(keys).to.eql(['1'])
  })

  it('Drop: a delete that arrives after its index is gone is refused, and makes no index', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await process(core, served)
    await remove(core, [1])
    await dispatchAll(core)
    const kept = keepFirst()
    await processBatch(core.options({ search: network.search }), served, 500)
    await drop(version)
    const { body } = await kept.forward!()
    expect(JSON.parse(body).items[0].delete.status).to.equal(404)
    expect(await names(version)).to.eql([])
    expect(await core.client.indices.exists({ index: writeAlias(version) })).to.equal(false)
  })

  it('Drop: a page of a killed populate that arrives after its index is gone makes no index', async () => {
    await core.sql(`INSERT INTO books SELECT n, 't' FROM generate_series(1, 3) n`)
    const definition = defineBooks(`r${++revisions}`)
    const stop = new AbortController()
    const kept = keepFirst()
    const deps = core.lifecycle({
      definitions: [definition],
      search: network.search,
      leaseMs: 1_500,
      signal: stop.signal,
    })
    const created = await createVersion(deps, definition)
    const killed = fillVersion(deps, created, definition).catch((error) => error)
    await waitFor(() => kept.forward)
    stop.abort()
    await drop(created)
    const { body } = await kept.forward!()
    expect(JSON.parse(body).items.map((each: { index: { status: number } }) => each.index.status)).to.eql([
      404,
      404,
      404,
    ])
    expect(await killed, 'told what became of it').to.include({ code: 'VERSION_NOT_READY' })
    expect(await names(created)).to.eql([])
  })

  it('Drop: nobody claims keys of a dropped version, and what a dispatch still adds is forgotten', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    await drop(version)
    expect((await processBatch(core.options(), served, 500)).claimed).to.equal(0)
    const next = defineBooks(`r${++revisions}`)
    await readyVersion(core, next)
    await write(core, [{ id: 2, title: 'b' }])
    await dispatchAll(core)
    expect((await pendingRows(core)).filter((each) => each.version === version.id && each.key === '2')).to.eql([])
  })
})

describe('protocol, first start', () => {
  let world: World
  before(async () => {
    world = await createWorld()
  })
  after(() => world.drop())

  it('First start: twenty processes at once draw unique numbers that grow in the order of their commits', async () => {
    const program = fileURLToPath(new URL('protocol.child.ts', import.meta.url))
    const env = { DATABASE_URL: world.databaseUrl }
    const ended = await Promise.all(Array.from({ length: 20 }, () => spawnCli([], { program, env })))
    const drawn = ended.flatMap(({ code, stdout, stderr }) => {
      expect(code, stderr).to.equal(0)
      return JSON.parse(stdout) as { before: number; n: string; after: number }[]
    })
    expect(new Set(drawn.map((each) => each.n)).size).to.equal(20 * 25)
    // Whoever asked after another had its number has a higher one.
    const byNumber = drawn.sort((a, b) => Number(BigInt(a.n) - BigInt(b.n)))
    let latest = -Infinity
    for (const each of byNumber) {
      expect(each.after > latest, `${each.n} was drawn before a lower one was asked for`).to.equal(true)
      latest = Math.max(latest, each.before)
    }
  })
}).timeout(90_000)
