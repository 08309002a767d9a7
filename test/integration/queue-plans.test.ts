import { expect } from 'chai'
import type { Connection, Db } from '../../src/ports.ts'
import { unprocessed } from '../../src/queue/changes.ts'
import { claim, type Claimed, release, settle } from '../../src/queue/pending.ts'
import { drawNumber } from '../../src/search/clock.ts'
import { registerVersion, type Version } from '../../src/search/versions.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { type Core, createCore } from '../support/core.ts'
import { bookDependencies } from '../support/simple_source.ts'

const many = 20_000
const lease = 30_000

describe('the statements of the queue', () => {
  let core: Core
  let version: Version
  before(async () => {
    core = await createCore()
    version = await registerVersion(core.store, {
      prefix: '',
      name: 'books',
      hash: 'h',
      definition: { mappings: {}, settings: {}, revision: null },
      dependencies: bookDependencies,
      tag: null,
    })
    // As in the minute before autovacuum comes: what PostgreSQL knows of the tables is from when they were empty.
    for (const table of ['changes', 'pending']) {
      await core.sql(`ALTER TABLE elastic_umzug.${table} SET (autovacuum_enabled = false)`)
      await core.sql(`ANALYZE elastic_umzug.${table}`)
    }
  })
  after(() => core.drop())
  beforeEach(() => core.sql('TRUNCATE elastic_umzug.changes, elastic_umzug.pending'))

  const enqueueMany = (origin: number) =>
    core.sql(
      `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change) SELECT $1, n::text, $2 FROM generate_series(1, $3::int) n`,
      [version.id, origin, many],
    )
  const captureMany = () =>
    core.sql(
      `INSERT INTO elastic_umzug.changes (table_name, rows)
       SELECT 'public.books', jsonb_build_array(jsonb_build_object('id', n::text)) FROM generate_series(1, $1::int) n`,
      [many],
    )

  it('claim by the index, and read no more rows than they take, of however many wait', async () => {
    await enqueueMany(1)
    const plan = await planOf(core, (store) => claim(store, version.id, crypto.randomUUID(), 500, lease))
    expect(mostRows(plan, 'pending')).to.be.within(1, 501)
  })

  it('settle by the index, a key at a time', async () => {
    await enqueueMany(1)
    const claimed = await claim(core.store, version.id, crypto.randomUUID(), 500, lease)
    const plan = await planOf(core, (store) => settle(store, version.id, crypto.randomUUID(), written(claimed)))
    expect(mostRows(plan, 'pending')).to.be.within(0, 1)
  })

  for (const known of ['no', 'current']) {
    it(`read none of what is newer to tell that nothing is left to wait for, by ${known} statistics`, async () => {
      await enqueueMany(2_000_000_000)
      await captureMany()
      if (known === 'current') await core.sql('ANALYZE elastic_umzug.changes, elastic_umzug.pending')
      expect(await unprocessed(core.store, [version.id], '0')).to.eql({ changes: 0, pending: 0, aborted: 0 })
      const plan = await planOf(core, (store) => unprocessed(store, [version.id], '0'))
      expect(mostRows(plan, 'pending')).to.equal(0)
      expect(mostRows(plan, 'changes')).to.be.within(0, 2)
    })
  }

  it('count what is left up to the mark: changes of every table, those that go on in pages, keys', async () => {
    await core.sql(
      `INSERT INTO elastic_umzug.changes (id, table_name, origin, cursor, version_id) OVERRIDING SYSTEM VALUE VALUES
         (10, 'public.authors', NULL, NULL, NULL), (11, 'public.books', NULL, NULL, NULL), (12, 'public.books', NULL, NULL, NULL),
         (20, 'public.books', 5, 'k', $1), (21, 'public.books', 15, 'k', $1), (22, 'public.books', 5, 'k', $1::bigint + 1)`,
      [version.id],
    )
    await core.sql(
      `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change) VALUES ($1, 'a', 3), ($1, 'b', 11), ($1, 'c', 12)`,
      [version.id],
    )
    expect(await unprocessed(core.store, [version.id], '11')).to.eql({ changes: 3, pending: 2, aborted: 0 })
  })

  it('take changes by their places, although they were planned while there were none', async () => {
    const connection = await core.db.connect()
    try {
      const once = () => connection.query(`SELECT elastic_umzug.dispatch(500, 5000, 5000)`)
      // After five times PostgreSQL keeps the plan.
      for (let times = 0; times < 8; times++) {
        await core.sql(`INSERT INTO elastic_umzug.changes (table_name, rows) VALUES ('public.books', '[{"id": "1"}]')`)
        await once()
      }
      await captureMany()
      await connection.query('BEGIN')
      await once()
      expect(await seqScans(connection, 'changes')).to.equal(0)
      await connection.query('COMMIT')
    } finally {
      await connection.close()
    }
  })

  it('wait for the disk where they claim and draw, and nowhere else', async () => {
    await enqueueMany(1)
    const token = crypto.randomUUID()
    let claimed: Claimed[] = []
    const setting = async (work: (store: Store) => Promise<unknown>) =>
      await core.db.transaction(async (tx) => {
        await work(within(tx))
        return (await tx.query<{ is: string }>(`SELECT current_setting('synchronous_commit') AS is`))[0]!.is
      })
    expect(await setting(async (store) => claimed = await claim(store, version.id, token, 2, lease))).to.equal('on')
    expect(await setting((store) => drawNumber(store))).to.equal('on')
    expect(await setting((store) => settle(store, version.id, token, written(claimed.slice(0, 1))))).to.equal('off')
    const refused = claimed.slice(1).map((each) => ({ ...each, reason: 'r', counts: false }))
    expect(await setting((store) => release(store, version.id, token, refused, 3))).to.equal('off')
    await captureMany()
    expect(await setting(({ db }) => db.query('SELECT elastic_umzug.dispatch(10, 5000, 5000)'))).to.equal('off')
  })
})

const written = (claimed: readonly Claimed[]) => claimed.map((each) => ({ ...each, absent: false }))

function within(queryable: Pick<Db, 'query'>): Store {
  return openStore(queryable as Db, 'elastic_umzug')
}

interface Node {
  'Relation Name'?: string
  'Node Type': string
  'Actual Rows': number
  'Rows Removed by Filter'?: number
  Plans?: Node[]
}

// The plan of the only statement that the work sends, as it was carried out.
async function planOf(core: Core, work: (store: Store) => Promise<unknown>): Promise<Node> {
  let plan: Node | undefined
  const query = async (sql: string, values?: readonly unknown[]) => {
    const [row] = await core.db.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(
      `EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`,
      values as unknown[],
    )
    plan = row!['QUERY PLAN'][0].Plan
    return [{ moved: 0 }]
  }
  await work(within({ query } as unknown as Db))
  return plan!
}

// The most rows of a table that one step of a plan read, among them those that it did not want.
function mostRows(node: Node, table: string): number {
  const own = node['Relation Name'] === table && node['Node Type'].includes('Scan')
    ? node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)
    : 0
  return Math.max(own, ...(node.Plans ?? []).map((each) => mostRows(each, table)))
}

async function seqScans(connection: Connection, table: string): Promise<number> {
  const sql =
    `SELECT seq_scan::int AS scans FROM pg_stat_xact_user_tables WHERE schemaname = 'elastic_umzug' AND relname = $1`
  return (await connection.query<{ scans: number }>(sql, [table]))[0]!.scans
}
