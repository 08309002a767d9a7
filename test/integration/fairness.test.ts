import { expect } from 'chai'
import type { Dependency } from '../../src/ports.ts'
import { dispatch } from '../../src/queue/changes.ts'
import { claim } from '../../src/queue/pending.ts'
import { registerVersion, type Version } from '../../src/search/versions.ts'
import { capture, type Core, createCore, dispatchAll, pendingRows } from '../support/core.ts'
import { bookDependencies } from '../support/simple_source.ts'

const ownTable = (table: string): Dependency[] => [{ ...bookDependencies[0]!, table }]

describe('fairness', () => {
  let core: Core
  let books: Version
  let films: Version
  before(async () => {
    core = await createCore()
  })
  after(() => core.drop())
  beforeEach(async () => {
    await core.sql(
      'TRUNCATE elastic_umzug.index_versions, elastic_umzug.changes, elastic_umzug.pending, books, authors',
    )
    books = await register('books', bookDependencies)
    films = await register('films', ownTable('public.films'))
  })

  const register = (name: string, dependencies: Dependency[]): Promise<Version> =>
    registerVersion(core.store, {
      prefix: '',
      name,
      hash: 'h',
      definition: { mappings: {}, settings: {}, revision: null },
      dependencies,
      tag: null,
    })
  const keysOf = async ({ id }: Version) =>
    (await pendingRows(core)).filter((each) => each.version === id).map((each) => each.key)
  const flood = (table: string, changes: number, rowsEach: number) =>
    core.sql(
      `INSERT INTO elastic_umzug.changes (table_name, rows)
       SELECT $1, (SELECT jsonb_agg(jsonb_build_object('id', (c * $3::int + n)::text)) FROM generate_series(1, $3::int) n)
       FROM generate_series(1, $2::int) c`,
      [table, changes, rowsEach],
    )
  const waiting = async (table: string) =>
    (await core.sql<{ n: number }>('SELECT count(*)::int AS n FROM elastic_umzug.changes WHERE table_name = $1', [
      table,
    ]))[0]!.n

  for (const [what, changes, rowsEach] of [['single rows', 20_000, 1], ['a thousand rows each', 60, 1_000]] as const) {
    it(`a flood of changes of ${what} in one table does not hold up a change of another`, async () => {
      await flood('public.books', changes, rowsEach)
      await capture(core.db, 'public.films', [7])
      await dispatch(core.store)
      expect(await keysOf(films)).to.eql(['7'])
      expect((await keysOf(books)).length).to.be.within(400, 6_000)
      expect(await waiting('public.films')).to.equal(0)
    })
  }

  it('tables that are flooded share each dispatch', async () => {
    await flood('public.books', 2_000, 1)
    await flood('public.films', 2_000, 1)
    await dispatch(core.store)
    expect(await waiting('public.books')).to.equal(1_750)
    expect(await waiting('public.films')).to.equal(1_750)
    await dispatchAll(core)
    expect(await waiting('public.books') + await waiting('public.films')).to.equal(0)
  })

  it('a change that many documents show goes on page by page, beside a flood in its own table', async () => {
    await core.sql(`INSERT INTO authors SELECT n, 'A' FROM generate_series(1, 3000) n`)
    await core.sql(`INSERT INTO books SELECT n, 'b', 1 FROM generate_series(1, 50) n`)
    await capture(core.db, 'public.authors', [1])
    await core.sql('SELECT elastic_umzug.dispatch(500, 5000, 10)')
    await flood('public.authors', 2_000, 1)
    const pages = []
    for (let at = 0; at < 3; at++) {
      await core.sql('SELECT elastic_umzug.dispatch(500, 5000, 10)')
      pages.push([(await keysOf(books)).length, await waiting('public.authors')])
    }
    // One page each time, and 499 of the others; the change that goes on is one of those that wait.
    expect(pages).to.eql([[20, 1_502], [30, 1_003], [40, 504]])
  })

  it('small changes are claimed before the rest of a bulk change in the same index', async () => {
    await capture(core.db, 'public.books', Array.from({ length: 400 }, (_, at) => 1_000 + at))
    await dispatch(core.store)
    await capture(core.db, 'public.books', [1])
    await capture(core.db, 'public.books', [1_399])
    await dispatch(core.store)
    const claimed = await claim(core.store, books.id, crypto.randomUUID(), 2, 30_000)
    expect(claimed.map((each) => each.key).sort()).to.eql(['1', '1399'])
  })

  it('a bulk change that has waited for an hour is not put off any more', async () => {
    await capture(core.db, 'public.books', Array.from({ length: 400 }, (_, at) => 1_000 + at))
    await dispatch(core.store)
    await core.sql(`UPDATE elastic_umzug.pending SET due_at = due_at - interval '61 minutes'`)
    await capture(core.db, 'public.books', [1])
    await dispatch(core.store)
    const claimed = await claim(core.store, books.id, crypto.randomUUID(), 400, 30_000)
    expect(claimed.map((each) => each.key)).not.to.include('1')
  })

  it('a key that changes all the time keeps its place', async () => {
    await capture(core.db, 'public.books', [1])
    await dispatch(core.store)
    for (let at = 2; at < 6; at++) {
      await capture(core.db, 'public.books', [at])
      await dispatch(core.store)
      await capture(core.db, 'public.books', [1])
      await dispatch(core.store)
    }
    const [first] = await claim(core.store, books.id, crypto.randomUUID(), 1, 30_000)
    expect(first).to.eql({ key: '1', generation: '5' })
  })
})
