import { expect } from 'chai'
import { drain } from '../../src/queue/drain.ts'
import { startWorker } from '../../src/queue/worker.ts'
import { activateVersion, converge, createVersion, fillVersion, mendActive } from '../../src/search/lifecycle.ts'
import {
  definitionAlias,
  listVersions,
  readAlias,
  readVersion,
  registerVersion,
  type Version,
} from '../../src/search/versions.ts'
import { bookDependencies, bookSource } from '../support/simple_source.ts'
import {
  capture,
  type Core,
  createCore,
  createGate,
  defineBooks,
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
import { defineIndex, type Definition } from '../../src/search/definition.ts'

describe('life of a version', () => {
  let core: Core
  let alias: string
  beforeEach(async () => {
    core = await createCore()
    alias = `${core.world.prefix}books`
  })
  afterEach(() => core.drop())

  const second = defineBooks('second')
  const up = (definition: Definition = core.books, changes: Parameters<Core['lifecycle']>[0] = {}) =>
    converge(core.lifecycle({ definitions: [definition], ...changes }), true)
  const pointed = async (name = alias) => Object.keys(await core.client.indices.getAlias({ name }))
  const states = async () => (await listVersions(core.store, core.world.prefix)).map((each) => each.state)
  const activate = (version: Version, definition: Definition, changes: Parameters<Core['lifecycle']>[0] = {}) =>
    activateVersion(core.lifecycle({ definitions: [definition], ...changes }), version)

  it('goes from nothing to an active version, and then does nothing', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    expect(await up()).to.eql([{ index: 'books', version: 1, outcome: 'activated' }])
    expect(await titles(core, alias)).to.eql({ 1: 'a' })
    expect(await up()).to.eql([{ index: 'books', version: 1, outcome: 'unchanged' }])
    expect(core.lines.at(-1)).to.match(/books-1: active, nothing to do/)
  })

  it('makes a second version beside the first, and goes back to the first when asked, which is up to date', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await up()
    await up(second)
    expect(await pointed()).to.eql([`${alias}-2`])
    expect(await states()).to.eql(['retired', 'active'])
    await write(core, [{ id: 1, title: 'b' }])
    await up()
    expect(await pointed()).to.eql([`${alias}-1`])
    expect(await titles(core, alias)).to.eql({ 1: 'b' })
    expect(await states()).to.eql(['active', 'retired'])
  })

  it('gives readers of each code the version built for it, from when it is ready', async () => {
    await up()
    const version = await readyVersion(core, second)
    expect(await pointed(definitionAlias(version))).to.eql([`${alias}-2`])
    expect(await pointed(`${alias}~${core.books.hash.slice(0, 8)}`)).to.eql([`${alias}-1`])
    expect(await pointed()).to.eql([`${alias}-1`])
  })

  it('leaves nothing of a mapping that Elasticsearch refuses, and never uses its number again', async () => {
    const wrong = defineIndex({
      name: 'books',
      mappings: { properties: { a: { type: 'no such type' } } },
      source: bookSource(),
    })
    const error = await rejection(up(wrong))
    expect(error).to.include({ code: 'MAPPING_REFUSED' })
    expect(error.message).to.include('no such type')
    expect(await states()).to.eql([])
    expect(await up()).to.eql([{ index: 'books', version: 2, outcome: 'activated' }])
  })

  it('goes on with a version whose creation got no answer', async () => {
    const search = watchSearch(core.search, async (request) => {
      if (request.method !== 'PUT' || !request.path.endsWith('books-1')) return
      await core.search.request(request)
      return { status: 503, body: {} }
    })
    expect(await rejection(up(core.books, { search }))).to.include({ code: 'SEARCH_FAILED' })
    expect(await up()).to.eql([{ index: 'books', version: 1, outcome: 'activated' }])
  })

  it('does not take an index for its own that another database made', async () => {
    await core.client.indices.create({ index: `${alias}-1` })
    const error = await rejection(up())
    expect(error).to.include({ code: 'MAPPING_REFUSED' })
    expect(error.message).to.include('did not make')
    expect(await states()).to.eql([])
  })

  it('says so before it starts when the name of the alias is taken by an index', async () => {
    await core.client.indices.create({ index: alias })
    expect(await rejection(up())).to.include({ code: 'DEFINITION_INVALID' })
    expect(await states()).to.eql([])
  })

  it('lets names be beginnings of each other', async () => {
    const archive = defineBooks(undefined, bookSource(), 'books-archive')
    await converge(core.lifecycle({ definitions: [core.books, archive] }), true)
    expect(await states()).to.eql(['active', 'active'])
  })

  it('keeps two prefixes in one database apart', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await up()
    await up(core.books, { prefix: `${core.world.prefix}qa_` })
    await write(core, [{ id: 1, title: 'b' }])
    await process(core, await serve(core, (await listVersions(core.store, `${core.world.prefix}qa_`))[0]!))
    expect(await titles(core, `${core.world.prefix}qa_books`)).to.eql({ 1: 'b' })
    expect(await titles(core, alias)).to.eql({ 1: 'a' })
  })

  it('says that the index is gone when somebody deleted it, and mends an alias that was taken away', async () => {
    await up()
    await core.client.indices.deleteAlias({ index: `${alias}-1`, name: alias })
    await up()
    expect(await pointed()).to.eql([`${alias}-1`])
    await core.client.indices.create({ index: `${alias}-foreign` })
    const moved = [{ remove: { index: `${alias}-1`, alias } }, { add: { index: `${alias}-foreign`, alias } }]
    await core.client.indices.updateAliases({ actions: moved })
    await up()
    expect(await pointed()).to.eql([`${alias}-1`])
    expect(core.lines.at(-1)).to.include(`pointed at ${alias}-foreign; it points here again`)
    await core.client.indices.delete({ index: `${alias}-1` })
    expect(await rejection(up())).to.include({ code: 'VERSION_NOT_READY' })
  })

  it('brings every document up to date after a migration changed what a version reads', async () => {
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
    const [own, authors] = bookDependencies
    const before = defineBooks(
      undefined,
      bookSource([{ ...own!, keys: `${own!.keys} WHERE gone() IS NULL` }, authors!]),
    )
    await core.sql('CREATE FUNCTION gone() RETURNS int LANGUAGE sql AS $$ SELECT NULL::int $$')
    await up(before)
    await core.sql('DROP FUNCTION gone()')
    await write(core, [{ id: 1, title: 'missed' }])
    await remove(core, [2])
    await process(core, await serve(core, (await listVersions(core.store, core.world.prefix))[0]!))
    const [broken] = await listVersions(core.store, core.world.prefix)
    expect(broken!.dependencyError).to.include('gone()')
    expect(await rejection(activate(broken!, core.books))).to.include({ code: 'VERSION_BEHIND' })
    expect(await up()).to.eql([{ index: 'books', version: 1, outcome: 'unchanged' }])
    expect(await titles(core, alias)).to.eql({ 1: 'missed' })
    expect((await listVersions(core.store, core.world.prefix))[0]!.dependencyError).to.equal(null)
    await up()
    expect(core.lines.at(-1)).to.include('nothing to do')
  })

  it('does not read everything anew when only the SQL of a dependency changed, and loses no page of it', async () => {
    await core.sql(`INSERT INTO authors VALUES (1, 'A')`)
    await write(core, Array.from({ length: 8 }, (_, at) => ({ id: at, title: 't', author: 1 })))
    await up()
    await core.sql(`UPDATE authors SET name = 'B'`)
    await capture(core.db, 'public.authors', [1], ['name'])
    await core.sql('SELECT elastic_umzug.dispatch(500, 5000, 3)')
    const [own, authors] = bookDependencies
    const reordered = bookSource([{ ...authors!, keys: `${authors!.keys} ` }, { ...own! }])
    await up(defineBooks(undefined, bookSource([{ ...own!, keys: `${own!.keys} ` }, authors!])))
    expect(core.lines.at(-1)).to.include('nothing to do')
    await up(defineBooks(undefined, reordered))
    await process(core, await serve(core, (await listVersions(core.store, core.world.prefix))[0]!))
    await core.client.indices.refresh({ index: alias })
    const found = await core.client.search<{ author: string }>({ index: alias, size: 20 })
    expect(found.hits.hits.map((each) => each._source!.author)).to.eql(Array(8).fill('B'))
  })

  describe('activation', () => {
    it('refuses a version that is not ready', async () => {
      const version = await createVersion(core.lifecycle(), core.books)
      expect(await rejection(activate(version, core.books))).to.include({ code: 'VERSION_NOT_READY' })
    })

    it('refuses a version with aborted documents', async () => {
      const version = await readyVersion(core)
      await write(core, [{ id: 1, title: 'refused' }])
      await process(core, await serve(core, version))
      await core.sql(`UPDATE elastic_umzug.pending SET attempts = 3, aborted_at = now(), due_at = 'infinity'`)
      expect(await rejection(activate(version, core.books))).to.include({ code: 'VERSION_BEHIND' })
      await write(core, [{ id: 1, title: 'mended' }])
      await activate(version, core.books)
    })

    it('refuses a version behind that only other code can bring up to date', async () => {
      const version = await readyVersion(core)
      await write(core, [{ id: 1, title: 'a' }])
      const deps = core.lifecycle({ definitions: [second] })
      const impatient = { ...deps, drain: (each: Version) => deps.drain(each, { timeoutMs: 100 }) }
      const error = await rejection(activateVersion(impatient, version))
      expect(error).to.include({ code: 'VERSION_BEHIND' })
      expect(error.message).to.include('1 pending keys')
      expect(await states()).to.eql(['ready'])
    })

    it('Long dispatch: activation waits for it, and so does filling', async () => {
      await up()
      let filling: Promise<Version> | undefined
      await core.db.transaction(async (tx) => {
        await write(core, [{ id: 1, title: 'late' }])
        await tx.query('SELECT elastic_umzug.dispatch(500, 5000, 5000)')
        const deps = core.lifecycle({ definitions: [second] })
        filling = createVersion(deps, second).then((created) => fillVersion(deps, created, second))
        await new Promise((resolve) => setTimeout(resolve, 1_500))
        expect(await states()).to.eql(['active', 'populating'])
        const [first] = await listVersions(core.store, core.world.prefix)
        const options = core.options()
        const left = await drain(options, { versionIds: [first!.id], work: true, timeoutMs: 100 })
        expect(left.changes).to.equal(1)
      })
      const version = await filling!
      await activate(version, second)
      expect(await titles(core, alias)).to.eql({ 1: 'late' })
    })

    it('catches up under constant writes', async () => {
      const version = await readyVersion(core)
      let writing = true
      let id = 0
      const writer = (async () => {
        while (writing) await write(core, [{ id: 1 + id++ % 50, title: `t${id}` }])
      })()
      await activate(version, core.books)
      writing = false
      await writer
      await process(core, await serve(core, version))
      expect(await titles(core, alias)).to.eql(await rowTitles(core))
    })

    it('never leaves the alias empty or on two', async () => {
      await write(core, [{ id: 1, title: 'a' }])
      await up()
      let polling = true
      const seen = new Set<string>()
      const reader = (async () => {
        while (polling) {
          const found = await core.client.search({ index: alias, size: 10 })
          seen.add(found.hits.hits.map((each) => each._id).join())
        }
      })()
      await up(second)
      await up()
      polling = false
      await reader
      expect([...seen]).to.eql(['1'])
    })

    it('is mended after a crash between alias and rows', async () => {
      await up()
      const version = await readyVersion(core, second)
      const store = watchStore(core.store, {})
      store.db.transaction = () => Promise.reject(new Error('killed'))
      await rejection(activate(version, second, { store }))
      expect(await pointed()).to.eql([`${alias}-2`])
      expect(await states()).to.eql(['active', 'ready'])
      expect(await up(second)).to.eql([{ index: 'books', version: 2, outcome: 'unchanged' }])
      expect(await states()).to.eql(['retired', 'active'])
    })

    it('leaves everything as it was when the cluster refuses', async () => {
      await up()
      const version = await readyVersion(core, second)
      const search = watchSearch(
        core.search,
        ({ path }) => path === '/_aliases' ? { status: 503, body: {} } : undefined,
      )
      expect(await rejection(activate(version, second, { search }))).to.include({ code: 'SEARCH_FAILED' })
      expect(await pointed()).to.eql([`${alias}-1`])
      expect(await states()).to.eql(['active', 'ready'])
    })

    it('follows the alias over versions of other code too, but not to one that is not complete', async () => {
      await up()
      await createVersion(core.lifecycle({ definitions: [second] }), second)
      await core.client.indices.updateAliases({
        actions: [{ remove: { index: `${alias}-1`, alias } }, { add: { index: `${alias}-2`, alias } }],
      })
      await mendActive(core.lifecycle())
      expect(await states()).to.eql(['active', 'created'])
    })
  })

  it('keeps a version right that old code works on, while new code fills the next', async () => {
    await write(core, [{ id: 1, title: 'a' }])
    await up()
    const worker = startWorker(core.options())
    const gate = createGate()
    const slow = defineBooks('second', watchSource(bookSource(), (what) => what === 'page' ? gate.pass() : undefined))
    const next = up(slow)
    await gate.arrived
    await write(core, [{ id: 1, title: 'b' }, { id: 2, title: 'c' }])
    await capture(core.db, 'public.books', [1])
    const [first] = await listVersions(core.store, core.world.prefix)
    await drain(core.options(), { versionIds: [first!.id], work: false })
    expect(await titles(core, alias)).to.eql({ 1: 'b', 2: 'c' })
    gate.open()
    await next
    await worker.stop()
    expect(await titles(core, alias)).to.eql({ 1: 'b', 2: 'c' })
  })

  it('numbers versions for good, whoever registers them', async () => {
    const numbers = await Promise.all(Array.from({ length: 10 }, async () =>
      (await registerVersion(core.store, {
        prefix: core.world.prefix,
        name: 'books',
        hash: 'h',
        definition: { mappings: {}, settings: {}, revision: null },
        dependencies: bookDependencies,
        tag: null,
      })).number))
    expect(numbers.sort((a, b) => a - b)).to.eql([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(readAlias({ prefix: 'qa_', index: 'books' })).to.equal('qa_books')
    expect(await rejection(readVersion(core.store, '999'))).to.include({ code: 'VERSION_UNKNOWN' })
  })
})
