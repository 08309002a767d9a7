import { expect } from 'chai'
import type { Events } from '../../src/events.ts'
import { type ElasticUmzug, elasticUmzug } from '../../src/index.ts'
import { retryKeys } from '../../src/queue/aborted.ts'
import type { Version } from '../../src/search/versions.ts'
import { type Core, createCore, defineBooks, pendingRows, readyVersion, watchStore } from '../support/core.ts'
import { rejection } from '../support/rejection.ts'

describe('commands on the queue', () => {
  let core: Core
  let search: ElasticUmzug
  let versions: Version[]
  before(async () => {
    core = await createCore()
    versions = [await readyVersion(core), await readyVersion(core, defineBooks('other'))]
    search = elasticUmzug({
      sequelize: core.world.sequelize,
      elasticsearch: core.client,
      prefix: core.world.prefix,
      indexes: [core.books],
    })
  })
  after(() => core.drop())
  beforeEach(async () => {
    await core.sql('TRUNCATE elastic_umzug.pending')
    for (const { id } of versions) {
      await core.sql(
        `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change, attempts, due_at, aborted_at, error)
         SELECT $1, n::text, 1, 10, 'infinity', now(), CASE WHEN n < 3 THEN 'mapper: no such field' ELSE 'Too large' END
         FROM generate_series(1, 4) n`,
        [id],
      )
      await core.sql(`INSERT INTO elastic_umzug.pending (version_id, key, oldest_change) VALUES ($1, 'waits', 1)`, [id])
    }
  })

  const abortedKeys = async ({ id }: Version) =>
    (await pendingRows(core)).filter((each) => each.version === id && each.aborted).map((each) => each.key)
  const at = (number: number, keys: number) => ({ index: 'books', version: number, keys })

  it('status counts, and lists the first aborted documents', async () => {
    const [first] = await search.queue.status()
    expect(first).to.include({ index: 'books', version: 1, backlog: 1, aborted: 4 })
    expect(first!.abortedKeys.map((each) => each.key)).to.eql(['1', '2', '3'])
  })

  it('status lists all aborted documents of what is selected', async () => {
    const status = await search.queue.status({ aborted: true, targets: ['books@2'], reason: 'too LARGE' })
    expect(status.map(({ version, abortedKeys }) => [version, abortedKeys.map((each) => each.key)])).to.eql([
      [2, ['3', '4']],
    ])
  })

  it('retry makes every aborted document due, with all its attempts', async () => {
    const events: Events['queue:aborted:retried'][] = []
    const off = search.on('queue:aborted:retried', (event) => events.push(event))
    expect(await search.queue.retry()).to.eql([at(1, 4), at(2, 4)])
    off()
    expect(events).to.eql([{ keys: 8 }])
    const rows = await core.sql(`SELECT FROM elastic_umzug.pending WHERE attempts = 0 AND due_at <= now()`)
    expect(rows).to.have.length(10)
    expect((await search.log(1))[0]).to.include({ action: 'queue:retry', state: 'complete' })
  })

  it('retry ends although documents are aborted again at once', async () => {
    let statements = 0
    const store = watchStore(core.store, {
      async after(sql) {
        if (!sql.includes('held')) return
        if (++statements > 3) throw new Error('it does not end')
        await core.sql(`UPDATE elastic_umzug.pending SET due_at = 'infinity', aborted_at = clock_timestamp()`)
      },
    })
    const counts = await retryKeys(store, { versionIds: versions.map((each) => each.id) })
    expect([...counts.values()]).to.eql([4, 4])
  })

  it('retry takes versions, keys and reasons together', async () => {
    expect(await search.queue.retry({ targets: ['books@2'], keys: ['1', '2', '3'], reason: 'mapper' }).catch((e) => e))
      .to.include({ code: 'ABORTED_UNKNOWN' })
    expect(await search.queue.retry({ targets: ['books@2'], keys: ['1', '2'], reason: 'mapper' })).to.eql([at(2, 2)])
    expect(await abortedKeys(versions[0]!)).to.have.length(4)
    expect(await abortedKeys(versions[1]!)).to.eql(['3', '4'])
  })

  it('names and indexes narrow each other', async () => {
    expect(await search.queue.retry({ targets: ['books@1'], indexes: ['books@2'] })).to.eql([])
    expect(await search.queue.retry({ targets: ['books@1', 'books@2'], indexes: ['books@2'] })).to.eql([at(2, 4)])
    expect(await search.queue.clear({ indexes: ['books'] })).to.eql([at(1, 4)])
    expect(await rejection(search.queue.clear({ indexes: ['nowhere'] }))).to.include({ code: 'VERSION_UNKNOWN' })
  })

  it('a dry run counts, changes nothing and records nothing', async () => {
    const actions = (await search.log()).length
    expect(await search.queue.retry({ dryRun: true, keys: ['4'] })).to.eql([at(1, 1), at(2, 1)])
    expect(await search.queue.clear({ dryRun: true, all: true })).to.eql([at(1, 4), at(2, 4)])
    expect(await abortedKeys(versions[0]!)).to.have.length(4)
    expect((await search.log()).length).to.equal(actions)
  })

  it('clear forgets only aborted documents, and only what is named', async () => {
    expect(await search.queue.clear({ targets: ['books@1'] })).to.eql([at(1, 4)])
    expect((await pendingRows(core)).map((each) => each.key)).to.eql(['waits', '1', '2', '3', '4', 'waits'])
    expect(await search.queue.clear({ keys: ['2'] })).to.eql([at(2, 1)])
    expect(await search.queue.clear({ all: true })).to.eql([at(2, 3)])
    expect((await pendingRows(core)).map((each) => each.key)).to.eql(['waits', 'waits'])
    expect((await search.log(1))[0]).to.include({ action: 'queue:clear', state: 'complete' })
  })

  it('clear of nothing named is refused', async () => {
    for (const options of [{}, { reason: 'mapper' }, { targets: [], keys: [] }]) {
      const error = await rejection(search.queue.clear(options))
      expect(error).to.include({ code: 'COMMAND_INVALID' })
    }
    expect(await abortedKeys(versions[0]!)).to.have.length(4)
  })

  it('what is not there is refused, naming what is, and nothing is done', async () => {
    const unknown = await rejection(search.queue.retry({ targets: ['films'] }))
    expect(unknown).to.include({ code: 'VERSION_UNKNOWN' })
    expect(unknown.message).to.contain('books@1, books@2')
    for (const change of [search.queue.retry, search.queue.clear]) {
      const error = await rejection(change({ keys: ['1', 'waits', '99'] }))
      expect(error).to.include({ code: 'ABORTED_UNKNOWN' })
      expect(error.message).to.match(/waits, 99 .*aborted are: 1, 2, 3, 4/)
    }
    expect(await rejection(search.queue.retry({ reason: 'nowhere' }))).to.include({ code: 'ABORTED_UNKNOWN' })
    expect(await abortedKeys(versions[0]!)).to.have.length(4)
  })

  it('retry and clear do not wait for a run of hours', async () => {
    await core.db.transaction(async (tx) => {
      await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('elastic_umzug.run.elastic_umzug', 0))`)
      expect(await search.queue.retry({ targets: ['books@1'] })).to.eql([at(1, 4)])
    })
  })
})
