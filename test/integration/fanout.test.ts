import { expect } from 'chai'
import pg from 'pg'
import { dispatch, markNow, unprocessed } from '../../src/queue/changes.ts'
import { refreshDependencies } from '../../src/search/dependencies.ts'
import { listVersions } from '../../src/search/versions.ts'
import { capture, type Core, createCore } from '../support/core.ts'

const many = 60_000
const page = 5_000

describe('a change that many documents show', () => {
  let core: Core

  before(async () => {
    core = await createCore()
    await core.sql(`INSERT INTO authors (id, name) VALUES (1, 'Many'), (2, 'Few'), (3, 'One')`)
    await core.sql(
      `INSERT INTO books (id, title, author_id) SELECT n, 't', CASE WHEN n > $1 THEN 2 ELSE 1 END FROM generate_series(1, $1::int + 10) n`,
      [many],
    )
    await core.sql('CREATE INDEX ON books (author_id)')
    await core.sql(`INSERT INTO elastic_umzug.indexes (prefix, name) VALUES ('', 'books')`)
    await core.sql(
      `INSERT INTO elastic_umzug.index_versions (index_id, number, physical, hash, definition, dependencies, state, revision)
       SELECT id, 1, 'books-1', '', '{}', $1::jsonb, 'active', 1 FROM elastic_umzug.indexes`,
      [JSON.stringify(await core.books.source.dependencies(core.db))],
    )
  })
  beforeEach(async () => {
    await core.sql('TRUNCATE elastic_umzug.pending, elastic_umzug.changes')
  })
  after(() => core.drop())

  async function counts(): Promise<{ pending: number; changes: number }> {
    const [row] = await core.sql<{ pending: number; changes: number }>(
      `SELECT (SELECT count(*)::int FROM elastic_umzug.pending) AS pending, (SELECT count(*)::int FROM elastic_umzug.changes) AS changes`,
    )
    return row!
  }

  async function isPending(key: number): Promise<boolean> {
    return (await core.sql('SELECT FROM elastic_umzug.pending WHERE key = $1', [String(key)])).length > 0
  }

  async function expectComplete(more = 0): Promise<void> {
    const [row] = await core.sql<{ keys: number; documents: number; most: number }>(
      `SELECT count(*)::int AS keys, count(*) FILTER (WHERE key::int <= $1)::int AS documents, max(generation)::int AS most FROM elastic_umzug.pending`,
      [many],
    )
    expect(row).to.deep.equal({ keys: many + more, documents: many, most: 1 })
  }

  it('goes in pages of bounded size, and others are not held up by it', async () => {
    await capture(core.db, 'public.authors', [1], ['name'])
    expect(await dispatch(core.store)).to.equal(1)
    expect(await counts()).to.deep.equal({ pending: page, changes: 1 })
    // One after the other, each while the pages go on: of the same table, of another, of a parent of few.
    await capture(core.db, 'public.books', [many + 1])
    await dispatch(core.store)
    expect(await isPending(many + 1), 'a document of its own').to.equal(true)
    await capture(core.db, 'public.authors', [3], ['name'])
    await capture(core.db, 'public.authors', [2], ['name'])
    await dispatch(core.store)
    expect(await isPending(many + 9), 'the documents of another parent').to.equal(true)
    let steps = 3
    for (let before = await counts(); before.changes > 0; steps++) {
      await dispatch(core.store)
      const after = await counts()
      expect(after.changes).to.be.at.most(1)
      expect(after.pending - before.pending).to.be.at.most(page)
      before = after
    }
    expect(steps).to.be.at.most(many / page + 1)
    // The one document was enqueued by itself and by its parent.
    await core.sql('UPDATE elastic_umzug.pending SET generation = 1 WHERE key::int > $1', [many])
    await expectComplete(10)
  })

  it('is held up by none that keep coming', async () => {
    await capture(core.db, 'public.authors', [1], ['name'])
    let steps = 0
    for (; (await counts()).pending < many && steps < 30; steps++) {
      await capture(core.db, 'public.books', [many + 1 + steps % 10])
      await capture(core.db, 'public.authors', [2], ['name'])
      await dispatch(core.store)
    }
    expect(steps).to.be.at.most(many / page + 2)
  })

  it('goes on after the dispatcher was killed within a page and between pages, and misses none', async () => {
    await capture(core.db, 'public.authors', [1], ['name'])
    for (let killed = 0; (await counts()).changes > 0; killed++) {
      const before = await counts()
      if (killed < 4) {
        await killDispatcher()
        expect(await counts()).to.deep.equal(before)
      }
      await dispatch(core.store)
    }
    await expectComplete()
  })

  it('is waited for when it has to begin anew, because the SQL that finds its documents changed', async () => {
    await capture(core.db, 'public.authors', [1], ['name'])
    const mark = await markNow(core.store)
    await dispatch(core.store)
    const source = {
      ...core.books.source,
      dependencies: async () =>
        (await core.books.source.dependencies(core.db)).map((each) => ({ ...each, keys: `${each.keys} ` })),
    }
    const [version] = await listVersions(core.store, '')
    expect(await refreshDependencies(core.lifecycle(), version!, { ...core.books, source })).to.equal(false)
    expect((await counts()).changes).to.equal(1)
    expect((await unprocessed(core.store, [version!.id], mark)).changes).to.equal(1)
    while (await dispatch(core.store) > 0);
    expect((await counts()).pending).to.equal(many)
    expect((await unprocessed(core.store, [version!.id], mark)).changes).to.equal(0)
  })

  async function killDispatcher(): Promise<void> {
    const client = new pg.Client({ connectionString: core.world.databaseUrl })
    const ended = new Promise<void>((resolve) => client.on('end', resolve))
    client.on('error', () => {})
    await client.connect()
    const { rows: [row] } = await client.query('SELECT pg_backend_pid() AS pid')
    await client.query('BEGIN')
    await client.query('SELECT elastic_umzug.dispatch(500, 5000, $1)', [page])
    await core.sql('SELECT pg_terminate_backend($1)', [row.pid])
    await ended
  }
})
