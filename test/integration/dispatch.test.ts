import { expect } from 'chai'
import { Sequelize } from 'sequelize'
import type { PgClientLike } from '../../adapters/postgres/connection.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import type { Dependency } from '../../src/ports.ts'
import { dispatch, markNow, unprocessed } from '../../src/queue/changes.ts'
import { claim, release, settle } from '../../src/queue/pending.ts'
import { forgetGone, unregisterVersion } from '../../src/search/forget.ts'
import { listVersions, registerVersion, retryAborted, type Version } from '../../src/search/versions.ts'
import { openStore } from '../../src/store/store.ts'
import { capture, type Core, createCore, dispatchAll, pendingRows, write } from '../support/core.ts'
import { bookDependencies } from '../support/simple_source.ts'
import { waitFor } from '../support/world.ts'

describe('dispatch', () => {
  let core: Core
  before(async () => {
    core = await createCore()
  })
  after(() => core.drop())
  afterEach(() =>
    core.sql(`TRUNCATE elastic_umzug.index_versions, elastic_umzug.changes, elastic_umzug.pending, books, authors`)
  )

  const register = (dependencies: Dependency[] = bookDependencies, prefix = ''): Promise<Version> =>
    registerVersion(core.store, {
      prefix,
      name: 'books',
      hash: 'h',
      definition: { mappings: {}, settings: {}, revision: null },
      dependencies,
      tag: null,
    })
  const keysOf = async ({ id }: Version) =>
    (await pendingRows(core)).filter((each) => each.version === id).map((each) => each.key)
  const dispatchPages = async (size: number) => {
    const sql = 'SELECT elastic_umzug.dispatch(500, 5000, $1) AS taken'
    let times = 0
    while ((await core.sql<{ taken: number }>(sql, [size]))[0]!.taken > 0) times++
    return times
  }

  it('adds a row for every live version and key, whatever their prefix', async () => {
    const [one, two, dropped] = [await register(), await register(bookDependencies, 'other_'), await register()]
    await core.sql(`UPDATE elastic_umzug.index_versions SET state = 'dropped' WHERE id = $1`, [dropped.id])
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
    await dispatchAll(core)
    expect(await keysOf(one)).to.eql(['1', '2'])
    expect(await keysOf(two)).to.eql(['1', '2'])
    expect(await keysOf(dropped)).to.eql([])
  })

  it('leaves what is not committed, and takes it afterwards, also behind later changes', async () => {
    await register()
    await core.db.transaction(async (tx) => {
      await capture(tx, 'public.books', [1])
      await write(core, [{ id: 2, title: 'b' }])
      await dispatchAll(core)
      expect((await pendingRows(core)).map((each) => each.key)).to.eql(['2'])
    })
    await dispatchAll(core)
    expect((await pendingRows(core)).map((each) => each.key)).to.eql(['1', '2'])
  })

  it('counts repeats of a key as generations of one row, which keeps its oldest change', async () => {
    await register()
    await capture(core.db, 'public.books', [1])
    await dispatchAll(core)
    const [first] = await pendingRows(core)
    await capture(core.db, 'public.books', [1])
    await dispatchAll(core)
    const [row] = await pendingRows(core)
    expect(row).to.include({ generation: '2', oldest: first!.oldest })
  })

  it('sees a version that was registered after it took the changes', async () => {
    await register()
    await write(core, [{ id: 1, title: 'a' }])
    let dispatching: Promise<number> | undefined
    await core.db.transaction(async (tx) => {
      await tx.query('LOCK TABLE elastic_umzug.index_versions IN ACCESS EXCLUSIVE MODE')
      dispatching = dispatch(core.store)
      await waitFor(async () =>
        (await core.sql(`SELECT FROM pg_locks WHERE NOT granted AND relation = $1::regclass`, [
          'elastic_umzug.index_versions',
        ])).length > 0
      )
      await tx.query(
        `INSERT INTO elastic_umzug.index_versions (index_id, number, physical, hash, definition, dependencies, state, revision)
         SELECT index_id, 999, 'books-999', hash, definition, dependencies, 'created', 999 FROM elastic_umzug.index_versions`,
      )
    })
    await dispatching
    const late = (await listVersions(core.store, '')).find((each) => each.number === 999)!
    expect(await keysOf(late)).to.eql(['1'])
  })

  it('is done by one at a time', async () => {
    await register()
    await write(core, [{ id: 1, title: 'a' }])
    await core.db.transaction(async (tx) => {
      await tx.query('SELECT elastic_umzug.dispatch(500, 5000, 5000)')
      expect(await dispatch(core.store)).to.equal(-1)
    })
    expect(await dispatch(core.store)).to.equal(0)
  })

  it('skips a change of columns that no document reads', async () => {
    await register()
    await capture(core.db, 'public.books', [1], ['price', 'stock'])
    await capture(core.db, 'public.books', [2], ['price', 'title'])
    await capture(core.db, 'public.unread', [3])
    await dispatchAll(core)
    expect((await pendingRows(core)).map((each) => each.key)).to.eql(['2'])
    expect(await core.sql('SELECT FROM elastic_umzug.changes')).to.eql([])
  })

  it('finds the documents that show a changed row', async () => {
    await register()
    await core.sql(`INSERT INTO authors VALUES (1, 'A'), (2, 'B')`)
    await core.sql(`INSERT INTO books SELECT n, 'b', 1 + n % 2 FROM generate_series(1, 6) n`)
    await capture(core.db, 'public.authors', [1], ['name'])
    await dispatchAll(core)
    expect((await pendingRows(core)).map((each) => each.key)).to.eql(['2', '4', '6'])
  })

  it('hands on a change that many documents show in pages, for each version by itself', async () => {
    const versions = [await register(), await register()]
    await core.sql(`INSERT INTO authors VALUES (1, 'A'), (2, 'B')`)
    await core.sql(`INSERT INTO books SELECT n, 'b', 1 FROM generate_series(1, 10) n`)
    await core.sql(`INSERT INTO books SELECT n, 'b', 2 FROM generate_series(11, 17) n`)
    await capture(core.db, 'public.authors', [1])
    await capture(core.db, 'public.authors', [2])
    expect(await dispatchPages(3)).to.be.greaterThan(3)
    for (const each of versions) expect(await keysOf(each)).to.have.length(17)
    expect(await core.sql('SELECT FROM elastic_umzug.changes')).to.eql([])
  })

  it('counts a change that goes on in pages as unprocessed until its last page', async () => {
    const version = await register()
    await core.sql(`INSERT INTO authors VALUES (1, 'A')`)
    await core.sql(`INSERT INTO books SELECT n, 'b', 1 FROM generate_series(1, 4) n`)
    await capture(core.db, 'public.authors', [1])
    const mark = await markNow(core.store)
    await capture(core.db, 'public.books', [99])
    await core.sql('SELECT elastic_umzug.dispatch(500, 5000, 3)')
    expect(await unprocessed(core.store, [version.id], mark)).to.eql({ changes: 1, pending: 3, aborted: 0 })
    await dispatchPages(3)
    expect(await unprocessed(core.store, [version.id], mark)).to.eql({ changes: 0, pending: 4, aborted: 0 })
  })

  it('takes a change of the whole table as all its rows and a sweep, and lets nothing in flight settle', async () => {
    const version = await register()
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
    await dispatchAll(core)
    const token = crypto.randomUUID()
    const claimed = await claim(core.store, version.id, token, 10, 30_000)
    await core.sql('DELETE FROM books WHERE id = 1')
    await core.sql('INSERT INTO books SELECT n FROM generate_series(10, 19) n')
    await capture(core.db, 'public.books', null)
    await dispatchPages(3)
    expect(await keysOf(version)).to.have.members(['1', '2', ...Array.from({ length: 10 }, (_, at) => String(10 + at))])
    expect(await core.sql('SELECT version_id, sweep FROM elastic_umzug.changes')).to.eql([{
      version_id: version.id,
      sweep: true,
    }])
    await settle(core.store, version.id, token, claimed.map((each) => ({ ...each, absent: false })))
    expect(await keysOf(version)).to.include.members(['1', '2'])
  })

  it('goes on for the others when one version cannot look up its keys any more', async () => {
    await core.sql('ALTER TABLE books ADD COLUMN gone int')
    const old = await register([{ ...bookDependencies[0]!, keys: 'SELECT gone::text AS key FROM public.books' }])
    const current = await register()
    await core.sql('ALTER TABLE books DROP COLUMN gone')
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    expect(await keysOf(current)).to.eql(['1'])
    const [first] = await listVersions(core.store, '')
    expect(first).to.include({ id: old.id, dependencyError: 'column "gone" does not exist' })
  })

  it('goes on for the others when the SQL of one version fails over what it finds', async () => {
    await core.sql(`CREATE FUNCTION complain() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`)
    await core.sql(`CREATE FUNCTION claim() RETURNS text LANGUAGE plpgsql AS $$ BEGIN ASSERT false, 'untrue'; END $$`)
    const two = `SELECT (SELECT n::text FROM generate_series(1, 2) n) AS key`
    const failing = [two, 'SELECT complain() AS key', 'SELECT claim() AS key'].map((keys) =>
      register([{ ...bookDependencies[0]!, keys }])
    )
    const ids = (await Promise.all(failing)).map((each) => each.id)
    const current = await register()
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    expect(await keysOf(current)).to.eql(['1'])
    const faults = (await listVersions(core.store, '')).filter((each) => ids.includes(each.id))
    expect(faults.map((each) => each.dependencyError)).to.have.members([
      'more than one row returned by a subquery used as an expression',
      'no',
      'untrue',
    ])
  })

  it('fails as a whole on a fault that passes, and loses nothing', async () => {
    await register([{
      ...bookDependencies[0]!,
      keys: `SELECT raise_once() AS key`,
    }])
    await core.sql(`CREATE FUNCTION raise_once() RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40P01'; END $$`)
    await capture(core.db, 'public.books', [1])
    expect(await dispatch(core.store).catch((error) => error.message)).to.equal('again')
    await core.sql(`CREATE OR REPLACE FUNCTION raise_once() RETURNS text LANGUAGE sql AS $$ SELECT '7' $$`)
    await dispatchAll(core)
    expect((await pendingRows(core)).map((each) => each.key)).to.eql(['7'])
  })

  it('takes as long as it needs, whatever the application allows its statements', async () => {
    const impatient = new Sequelize(core.world.databaseUrl, {
      logging: false,
      dialectOptions: { statement_timeout: 100 },
    })
    const [known] = await core.sql(`SELECT FROM pg_settings WHERE name = 'transaction_timeout'`)
    if (known) {
      impatient.addHook(
        'afterConnect',
        ((client: PgClientLike) => client.query({ text: `SET transaction_timeout = 100` })) as never,
      )
    }
    try {
      const slow = await register([{ ...bookDependencies[0]!, keys: `SELECT '1' AS key FROM pg_sleep(0.3)` }])
      await capture(core.db, 'public.books', [1])
      const store = openStore(fromSequelize(impatient), 'elastic_umzug')
      expect(await dispatch(store)).to.equal(1)
      expect(await keysOf(slow)).to.eql(['1'])
      expect(await store.db.query('SHOW statement_timeout')).to.eql([{ statement_timeout: '100ms' }])
    } finally {
      await impatient.close()
    }
  })

  it('takes what is too much together in smaller parts', async () => {
    await core.sql(`CREATE FUNCTION at_most(many jsonb) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
      IF jsonb_array_length(many) > 3 THEN RAISE EXCEPTION 'too many' USING ERRCODE = '54000'; END IF;
      RETURN many -> 0 ->> 'id'; END $$`)
    const version = await register([{ ...bookDependencies[0]!, keys: 'SELECT at_most($1) AS key' }])
    for (let id = 1; id <= 9; id++) await capture(core.db, 'public.books', [id])
    expect(await dispatch(core.store)).to.equal(1)
    await dispatchAll(core)
    expect((await keysOf(version)).length).to.be.within(3, 9)
    expect(await core.sql('SELECT FROM elastic_umzug.changes')).to.eql([])
  })

  it('goes on with the others when one change is too much by itself', async () => {
    const version = await register([{ ...bookDependencies[0]!, keys: 'SELECT at_most($1) AS key' }])
    const other = await register()
    await capture(core.db, 'public.books', [1, 2, 3, 4])
    await capture(core.db, 'public.books', [5])
    await dispatchAll(core)
    expect(await keysOf(version)).to.eql(['5'])
    expect(await keysOf(other)).to.eql(['1', '2', '3', '4', '5'])
    expect((await listVersions(core.store, ''))[0]).to.include({ dependencyError: 'too many' })
  })

  it('forgets what is kept for versions that are gone', async () => {
    const [gone, kept] = [await register(), await register()]
    await write(core, [{ id: 1, title: 'a' }])
    await dispatchAll(core)
    await core.sql('DELETE FROM elastic_umzug.index_versions WHERE id = $1', [gone.id])
    await forgetGone(core.store)
    expect((await pendingRows(core)).map((each) => each.version)).to.eql([kept.id])
  })

  describe('claims', () => {
    let version: Version
    beforeEach(async () => {
      version = await register()
      await write(core, [{ id: 1, title: 'a' }])
      await dispatchAll(core)
    })
    const take = async (leaseMs = 30_000) => {
      const token = crypto.randomUUID()
      return { token, claimed: await claim(core.store, version.id, token, 10, leaseMs) }
    }
    const done = (token: string, claimed: { key: string; generation: string }[]) =>
      settle(core.store, version.id, token, claimed.map((each) => ({ ...each, absent: false })))

    it('are exclusive until they run out', async () => {
      expect((await take(100)).claimed).to.have.length(1)
      expect((await take()).claimed).to.eql([])
      await waitFor(async () => (await take()).claimed.length === 1)
    })

    it('are shared out between twenty that claim at once', async () => {
      await write(core, Array.from({ length: 100 }, (_, at) => ({ id: at + 1, title: 'b' })))
      await dispatchAll(core)
      const all = await Promise.all(
        Array.from({ length: 20 }, () => claim(core.store, version.id, crypto.randomUUID(), 10, 30_000)),
      )
      const keys = all.flat().map((each) => each.key)
      expect(new Set(keys).size).to.equal(keys.length)
      expect(keys.length).to.be.greaterThan(20)
    })

    it('leave a row that changed meanwhile, due at once', async () => {
      const { token, claimed } = await take()
      await write(core, [{ id: 1, title: 'b' }])
      const mark = await markNow(core.store)
      await dispatchAll(core)
      await done(token, claimed)
      expect(await pendingRows(core)).to.have.length(1)
      expect(await unprocessed(core.store, [version.id], mark)).to.include({ pending: 1 })
      const again = await take()
      expect(again.claimed).to.eql([{ key: '1', generation: '2' }])
      await done(again.token, again.claimed)
      expect(await pendingRows(core)).to.eql([])
    })

    it('wait for a dispatch of their key that is under way, and leave the row that it changed', async () => {
      const { token, claimed } = await take()
      await write(core, [{ id: 1, title: 'b' }])
      const settling = await core.db.transaction(async (tx) => {
        await tx.query('SELECT elastic_umzug.dispatch(500, 5000, 5000)')
        const settling = done(token, claimed)
        await waitFor(async () =>
          (await core.sql(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'WITH done AS%'`,
          )).length > 0
        )
        return { settling }
      })
      expect(await settling.settling).to.equal(1)
      const again = await take()
      expect(again.claimed).to.eql([{ key: '1', generation: '2' }])
      await done(again.token, again.claimed)
    })

    it('no longer count a change that they handled as unprocessed, while later ones go on', async () => {
      const mark = await markNow(core.store)
      const { token, claimed } = await take()
      await write(core, [{ id: 1, title: 'b' }])
      await dispatchAll(core)
      expect(await unprocessed(core.store, [version.id], mark)).to.include({ pending: 1 })
      await done(token, claimed)
      expect(await unprocessed(core.store, [version.id], mark)).to.include({ pending: 0 })
    })

    it('that ran out and are made again still wait for an older change that came late', async () => {
      const first = await take()
      await done(first.token, first.claimed)
      let mark = '0'
      await core.db.transaction(async (tx) => {
        await capture(tx, 'public.books', [1])
        mark = (await tx.query<{ id: string }>('SELECT max(id) AS id FROM elastic_umzug.changes'))[0]!.id
        await write(core, [{ id: 1, title: 'b' }])
        await dispatchAll(core)
        expect((await take(1)).claimed).to.have.length(1)
      })
      await dispatchAll(core)
      await waitFor(async () => (await take()).claimed.length === 1)
      expect(await unprocessed(core.store, [version.id], mark)).to.include({ pending: 1 })
    })

    it('that ran out settle nothing, even if the same generation is claimed again', async () => {
      const slow = await take(1)
      await waitFor(async () => {
        const { token, claimed } = await take()
        await done(token, claimed)
        return claimed.length > 0
      })
      await write(core, [{ id: 1, title: 'b' }])
      await dispatchAll(core)
      const fresh = await take()
      expect(fresh.claimed).to.eql(slow.claimed)
      await done(slow.token, slow.claimed)
      await release(
        core.store,
        version.id,
        slow.token,
        slow.claimed.map((each) => ({ ...each, reason: '', counts: true })),
        3,
      )
      expect((await pendingRows(core))[0]).to.include({ token: fresh.token, attempts: 0 })
    })

    it('that are refused come back after a growing back-off, and are aborted in the end', async () => {
      const refuse = async () => {
        const { token, claimed } = await take()
        const refused = claimed.map((each) => ({ ...each, reason: 'no', counts: true }))
        const result = await release(core.store, version.id, token, refused, 2)
        await core.sql(`UPDATE elastic_umzug.pending SET due_at = clock_timestamp() WHERE aborted_at IS NULL`)
        return result
      }
      const mark = await markNow(core.store)
      expect(await refuse()).to.eql([{ key: '1', attempts: 1, aborted: false }])
      expect(await refuse()).to.eql([{ key: '1', attempts: 2, aborted: true }])
      expect((await take()).claimed).to.eql([])
      expect(await unprocessed(core.store, [version.id], mark)).to.eql({ changes: 0, pending: 0, aborted: 1 })
      await write(core, [{ id: 1, title: 'mended' }])
      await dispatchAll(core)
      const now = await markNow(core.store)
      expect(await unprocessed(core.store, [version.id], now)).to.eql({ changes: 0, pending: 1, aborted: 0 })
      expect((await take()).claimed).to.have.length(1)
    })

    it('that are refused after a change are no attempt at what it made', async () => {
      const { token, claimed } = await take()
      await write(core, [{ id: 1, title: 'b' }])
      await dispatchAll(core)
      const refused = claimed.map((each) => ({ ...each, reason: 'no', counts: true }))
      expect(await release(core.store, version.id, token, refused, 1)).to.eql([{
        key: '1',
        attempts: 0,
        aborted: false,
      }])
      expect((await take()).claimed).to.have.length(1)
    })

    it('are not made of a dropped version', async () => {
      await core.sql(`UPDATE elastic_umzug.index_versions SET state = 'dropped'`)
      expect((await take()).claimed).to.eql([])
    })
  })

  it('and a retry of aborted keys do not wait for each other', async () => {
    const version = await register()
    // Stored in the opposite order of the keys.
    for (const key of ['2', '1']) {
      await core.sql(
        `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change, aborted_at, due_at)
         VALUES ($1, $2, 1, now(), 'infinity')`,
        [version.id, key],
      )
    }
    const lock = `UPDATE elastic_umzug.pending SET generation = generation + 1 WHERE version_id = $1 AND key = $2`
    const retried = await core.db.transaction(async (tx) => {
      await tx.query(lock, [version.id, '1'])
      const retrying = retryAborted(core.store, version.id, 3)
      retrying.catch(() => {})
      await waitFor(async () => (await core.sql('SELECT FROM pg_locks WHERE NOT granted')).length > 0)
      await tx.query(lock, [version.id, '2'])
      return { retrying }
    })
    expect(await retried.retrying).to.equal(2)
  })

  it('under way of a version that is unregistered is not waited for with its keys locked', async () => {
    const version = await register()
    await capture(core.db, 'public.books', [1])
    await dispatchAll(core)
    let unregistering: Promise<void> | undefined
    await core.db.transaction(async (tx) => {
      await tx.query('UPDATE elastic_umzug.index_versions SET truncated = true WHERE id = $1', [version.id])
      unregistering = unregisterVersion(core.store, version.id)
      unregistering.catch(() => {})
      await waitFor(async () => (await core.sql('SELECT FROM pg_locks WHERE NOT granted')).length > 0)
      await tx.query('UPDATE elastic_umzug.pending SET generation = 9 WHERE version_id = $1', [version.id])
    })
    await unregistering
    expect(await pendingRows(core)).to.eql([])
  })

  it('survives claims, settling and truncation at the same time without a deadlock', async () => {
    const version = await register()
    const ids = Array.from({ length: 200 }, (_, at) => at + 1)
    const errors: unknown[] = []
    const worker = async () => {
      for (let at = 0; at < 15; at++) {
        const token = crypto.randomUUID()
        const claimed = await claim(core.store, version.id, token, 50, 30_000)
        await settle(core.store, version.id, token, claimed.reverse().map((each) => ({ ...each, absent: false })))
      }
    }
    const writer = async () => {
      for (let at = 0; at < 15; at++) {
        await capture(core.db, 'public.books', ids)
        if (at % 3 === 0) await capture(core.db, 'public.books', null)
        await dispatch(core.store)
      }
    }
    await Promise.all([worker(), worker(), writer()].map((each) => each.catch((error) => errors.push(error))))
    expect(errors).to.eql([])
  })
})
