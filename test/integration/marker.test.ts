import { expect } from 'chai'
import { Sequelize } from 'sequelize'
import { monotonicClock } from '../../adapters/clock.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import type { SearchClient, SearchRequest } from '../../src/ports.ts'
import { activateVersion } from '../../src/search/lifecycle.ts'
import { lookAtMarks, type MarkDeps } from '../../src/search/marker.ts'
import { markerName, readMark } from '../../src/search/marker-search.ts'
import { listSuspicions } from '../../src/search/suspicions.ts'
import { registerVersion, type Version } from '../../src/search/versions.ts'
import { openStore } from '../../src/store/store.ts'
import { type Core, createCore, defineBooks, readyVersion, watchSearch, write } from '../support/core.ts'
import { pluginOf } from '../support/plugin.ts'
import { rejection } from '../support/rejection.ts'
import { waitFor } from '../support/wait.ts'

describe('markers in the database and in Elasticsearch', () => {
  let core: Core
  let deps: MarkDeps
  let version: Version
  let name: string
  before(async () => {
    core = await createCore()
    deps = { store: core.store, search: core.search, prefix: core.world.prefix }
    name = markerName(core.world.prefix, 'elastic_umzug', core.world.sequelize.getDatabaseName())
    await write(core, [{ id: 1, title: 'a' }])
  })
  after(() => core.drop())

  const look = async (changes: Partial<MarkDeps> = {}) => await lookAtMarks({ ...deps, ...changes }, 0)
  const kinds = async (changes: Partial<MarkDeps> = {}) => (await look(changes))!.seen.map((each) => each.kind)
  const counter = async () => Number((await core.sql<{ n: string }>('SELECT n FROM elastic_umzug.search_marks'))[0]!.n)
  const there = async () => (await readMark(core.search, name))!.n
  const isPut = ({ method, path }: SearchRequest) => method === 'PUT' && path.includes('/_doc/')
  const suspicions = async () => (await listSuspicions(core.store)).map((each) => each.kind)
  const verify = () => pluginOf(core).versions.verify([], { repair: true })

  it('are not held against a database that has no version yet', async () => {
    await look()
    await core.sql('UPDATE elastic_umzug.search_marks SET n = 0')
    await look()
    expect((await look())!.seen).to.eql([])
    version = await readyVersion(core)
    await activateVersion(core.lifecycle(), version)
    expect(await kinds()).to.eql([])
    expect(await suspicions()).to.eql([])
  })

  it('are counted up together', async () => {
    const before = await counter()
    expect(await kinds()).to.eql([])
    expect([await counter(), await there()]).to.eql([before + 1, before + 1])
  })

  it('are one hidden index, which no search for everything sees and which is never made by a write', async () => {
    const { settings, aliases } = (await core.client.indices.get({ index: name }))[name]!
    expect(settings!.index).to.include({ hidden: 'true', number_of_shards: '1' })
    expect(Object.keys(aliases!)).to.eql([`${name}.write`])
    const seen = await core.client.indices.get({ index: `${core.world.prefix}*` })
    expect(Object.keys(seen)).to.not.include(name)
  })

  it('are compared once a minute by all processes together', async () => {
    expect(await lookAtMarks(deps, 60_000)).to.equal(undefined)
    await core.sql(`UPDATE elastic_umzug.search_marks SET looked_at = clock_timestamp() - interval '61 s'`)
    const before = await counter()
    const looks = await Promise.all(Array.from({ length: 4 }, () => lookAtMarks(deps, 60_000)))
    expect(looks.filter((each) => each !== undefined).length).to.equal(1)
    expect(await counter()).to.equal(before + 1)
  })

  it('raise no alarm when many processes look at once, again and again', async () => {
    const looks = Array.from({ length: 4 }, async () => {
      const seen = []
      for (let n = 0; n < 8; n++) seen.push(...(await look())?.seen ?? [])
      return seen
    })
    expect((await Promise.all(looks)).flat()).to.eql([])
    await look()
    expect(await there()).to.equal(await counter())
  })

  it('raise no alarm when others look while an answer of Elasticsearch is on its way', async () => {
    let isFirst = true
    const slow: SearchClient = {
      ...core.search,
      async request<Body>(request: SearchRequest) {
        const answer = await core.search.request<Body>(request)
        if (request.method === 'GET' && request.path.endsWith('/_doc/marker') && isFirst) {
          isFirst = false
          for (let n = 0; n < 3; n++) await look()
        }
        return answer
      },
    }
    expect(await kinds({ search: slow })).to.eql([])
  })

  it('raise no alarm when processes die between both, however many', async () => {
    const dying = watchSearch(core.search, (request) => {
      if (isPut(request)) throw new Error('killed')
    })
    for (let n = 0; n < 4; n++) expect((await rejection(look({ search: dying }))).message).to.equal('killed')
    expect(await counter()).to.equal(await there() + 1)
    expect(await kinds()).to.eql([])
    expect(await there()).to.equal(await counter())
  })

  it('raise no alarm when another database has other indexes in the same cluster', async () => {
    const other = await createCore()
    try {
      const { prefix } = core.world
      const definition = { mappings: {}, settings: {}, revision: null }
      await registerVersion(other.store, {
        prefix,
        name: 'shelves',
        hash: 'h',
        definition,
        dependencies: [],
        tag: null,
      })
      await other.sql(`UPDATE elastic_umzug.index_versions SET state = 'active'`)
      for (let n = 0; n < 3; n++) expect([...await kinds({ store: other.store }), ...await kinds()]).to.eql([])
    } finally {
      await other.drop()
    }
  })

  it('are not taken back by a write that comes late', async () => {
    let held: SearchRequest | undefined
    const holding = watchSearch(core.search, (request) => {
      if (!isPut(request)) return
      held = request
      return { status: 200, body: {} }
    })
    await look({ search: holding })
    await look()
    await look()
    await core.search.request(held!)
    expect(await there()).to.equal(await counter())
    expect(await kinds()).to.eql([])
  })

  it('tell a database that went back in time, until what it concerns was made equal', async () => {
    await core.sql('UPDATE elastic_umzug.search_marks SET n = n - 2')
    expect(await kinds()).to.eql(['database-behind'])
    expect(await kinds(), 'told once').to.eql([])
    const [suspicion] = await listSuspicions(core.store)
    expect(suspicion).to.include({ kind: 'database-behind', prefix: core.world.prefix })
    expect(suspicion!.versions).to.eql([version.physical])
    await pluginOf(core).versions.verify()
    expect(await suspicions(), 'comparing alone does not clear it').to.eql(['database-behind'])
    await verify()
    expect(await suspicions()).to.eql([])
  })

  it('make a repair wait for what was read before the restore and is on its way still', async () => {
    await core.sql('UPDATE elastic_umzug.search_marks SET n = n - 2')
    const repair = verify()
    await monotonicClock.sleep(600)
    await core.client.index({ index: version.physical, id: '77', document: { title: 'from before' } })
    await repair
    expect(await core.client.exists({ index: version.physical, id: '77' })).to.equal(false)
    expect(await suspicions()).to.eql([])
  })

  it('tell an Elasticsearch that was restored from a snapshot, or has lost its marker', async () => {
    const old = await readMark(core.search, name)
    await look()
    await look()
    await core.client.delete({ index: name, id: 'marker', refresh: true })
    await core.client.index({ index: name, id: 'marker', document: old, version: old!.n, version_type: 'external_gte' })
      .catch(() => core.client.index({ index: name, id: 'marker', document: old }))
    expect(await kinds()).to.eql(['search-behind'])
    await core.client.indices.delete({ index: name })
    expect(await kinds()).to.include('search-behind')
    expect(await there()).to.equal(await counter())
    await verify()
    expect(await kinds()).to.eql([])
  })

  it('tell a copy of the database, another timeline and another cluster', async () => {
    await core.sql(`UPDATE elastic_umzug.search_marks
      SET identity = identity || '{"database": "1", "timeline": "0000000F"}', cluster = 'another'`)
    expect(await kinds()).to.have.members(['database-moved', 'timeline', 'cluster'])
    expect(await suspicions()).to.have.members(['database-moved', 'timeline', 'cluster'])
    await verify()
    expect(await suspicions()).to.eql([])
  })

  it('are looked at where a server cannot tell its timeline', async () => {
    await core.sql('CREATE SCHEMA elsewhere')
    await core.sql(`CREATE FUNCTION elsewhere.pg_current_wal_insert_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'not supported here'; END $$`)
    const dialectOptions = { options: '-c search_path=elsewhere,pg_catalog,public' }
    const sequelize = new Sequelize(core.world.databaseUrl, { logging: false, dialectOptions })
    try {
      expect(await kinds({ store: openStore(fromSequelize(sequelize), 'elastic_umzug') })).to.eql([])
    } finally {
      await sequelize.close()
    }
  })

  it('are looked at by `up` and at the start of a worker, and told as an event', async () => {
    await core.sql('UPDATE elastic_umzug.search_marks SET n = n - 2')
    const lines: string[] = []
    await pluginOf(core).up({ onLine: (line) => void lines.push(line) })
    expect(lines.join('\n')).to.match(/suspected: the database was restored .*es:verify --repair/)
    await core.sql('UPDATE elastic_umzug.search_marks SET n = n - 2')
    const plugin = pluginOf(core)
    const told: string[] = []
    plugin.on('search:suspicion:noted', ({ kind }) => void told.push(kind))
    await plugin.start()
    await waitFor(() => told.length > 0)
    await plugin.stop()
    expect(told).to.eql(['database-behind'])
  })

  it('keep the alias from a version that may differ, and not from one that is built after that', async () => {
    await core.sql('UPDATE elastic_umzug.search_marks SET n = n - 2')
    await pluginOf(core, { config: { indexes: [defineBooks('second')] } }).up()
    const alias = `${core.world.prefix}books`
    const pointed = async () => Object.keys(await core.client.indices.getAlias({ name: alias }))
    expect(await pointed()).to.eql([`${alias}-2`])
    const error = await rejection(pluginOf(core).versions.activate(['books@1']))
    expect(error).to.include({ code: 'VERSION_NOT_READY', next: 'npx umzug es:verify books@1 --repair' })
    expect(error.message).to.contain('books-1 may differ from its rows: the database was restored')
    expect(await pointed()).to.eql([`${alias}-2`])
    await pluginOf(core).versions.verify(['books@1'], { repair: true })
    await pluginOf(core).versions.activate(['books@1'])
    expect(await pointed()).to.eql([`${alias}-1`])
  })

  it('that cannot be looked at stop nothing', async () => {
    const search = watchSearch(
      core.search,
      ({ path }) =>
        path.includes('elastic-umzug~') ? { status: 403, body: { error: { reason: 'forbidden' } } } : undefined,
    )
    const plugin = pluginOf(core, { search })
    const failures: unknown[] = []
    plugin.on('search:watch:failed', ({ error }) => void failures.push(error))
    await plugin.start()
    await waitFor(() => failures.length > 0)
    await write(core, [{ id: 2, title: 'b' }])
    await plugin.settled()
    await plugin.stop()
    const lines: string[] = []
    await plugin.up({ onLine: (line) => void lines.push(line) })
    expect(lines.join('\n')).to.contain('forbidden')
    await plugin.versions.verify([], { repair: true, onLine: (line) => void lines.push(line) })
    expect(lines.join('\n')).to.match(/how far the document clock had come is not known: .*forbidden/)
  })
})
