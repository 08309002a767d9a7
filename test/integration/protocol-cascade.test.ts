/** The cascades of protocol.md as triggers record them; `capture-races.test.ts` has them as hooks do. */
import { expect } from 'chai'
import pg from 'pg'
import { installTriggers } from '../../src/capture/install.ts'
import { type Core, createCore } from '../support/core.ts'
import { waitFor } from '../support/world.ts'

describe('protocol, cascades seen by triggers', () => {
  let core: Core
  let one: pg.Client
  let two: pg.Client
  before(async () => {
    core = await createCore()
    await core.world.sequelize.query(`
      CREATE TABLE a (id int PRIMARY KEY);
      CREATE TABLE b (id int PRIMARY KEY, a_id int REFERENCES a ON DELETE SET NULL, title text);
      CREATE TABLE c (id int PRIMARY KEY, a_id int REFERENCES a ON DELETE CASCADE);
      CREATE TABLE ab (a_id int REFERENCES a ON DELETE CASCADE, b_id int REFERENCES b, PRIMARY KEY (a_id, b_id));`)
    const needs = (table: string, columns: string[]) => ({
      table: `public.${table}`,
      columns,
      capture: columns,
      own: false,
    })
    const wanted = [
      needs('a', ['id']),
      needs('b', ['id', 'a_id']),
      needs('c', ['id', 'a_id']),
      needs('ab', ['a_id', 'b_id']),
    ]
    const { store, clock } = core.options()
    await installTriggers({ store, clock, onLine() {} }, wanted, { replicated: false })
    ;[one, two] = await Promise.all([connect(core), connect(core)])
  })
  beforeEach(() =>
    core.world.sequelize.query(`
      TRUNCATE a, b, c, ab;
      INSERT INTO a VALUES (1), (2), (3);
      INSERT INTO b VALUES (1, 1);
      TRUNCATE elastic_umzug.changes`)
  )
  after(async () => {
    await Promise.all([one?.end(), two?.end()])
    await core.drop()
  })

  // The first session holds what it did until the second one waits for it.
  const both = async (first: string, second: string) => {
    await one.query('BEGIN')
    await one.query(first)
    const written = two.query(second)
    const waits = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    await waitFor(async () => (await core.sql(waits)).length > 0)
    await one.query('COMMIT')
    await written
  }
  const recorded = async (table: string) =>
    (await core.sql<{ row: object }>(
      `SELECT r.value AS row FROM elastic_umzug.changes c CROSS JOIN jsonb_array_elements(c.rows) r
       WHERE c.table_name = $1 ORDER BY c.id`,
      [`public.${table}`],
    )).map((each) => each.row)

  it('Cascade: a row inserted while its parent waits to be deleted is recorded again: set null', async () => {
    await both('INSERT INTO b VALUES (2, 1)', 'DELETE FROM a WHERE id = 1')
    const rows = await recorded('b')
    expect(rows[0]).to.eql({ id: '2', a_id: '1' })
    expect(rows.slice(1)).to.deep.include.members([{ id: '1', a_id: '1' }, { id: '1', a_id: null }])
    expect(rows.slice(1)).to.deep.include.members([{ id: '2', a_id: '1' }, { id: '2', a_id: null }])
  })

  it('Cascade: a row inserted while its parent waits to be deleted is recorded again: cascade', async () => {
    await both('INSERT INTO c VALUES (1, 1)', 'DELETE FROM a WHERE id = 1')
    expect(await recorded('c')).to.eql([{ id: '1', a_id: '1' }, { id: '1', a_id: '1' }])
  })

  it('Cascade: a join row inserted while its parent waits to be deleted is recorded with both keys', async () => {
    await both('INSERT INTO ab VALUES (1, 1)', 'DELETE FROM a WHERE id = 1')
    expect(await recorded('ab')).to.eql([{ a_id: '1', b_id: '1' }, { a_id: '1', b_id: '1' }])
  })

  it('Cascade: two sessions move one row: the parent between them is recorded', async () => {
    await both('UPDATE b SET a_id = 2 WHERE id = 1', 'UPDATE b SET a_id = 3 WHERE id = 1')
    const parents = (await recorded('b')).map((each) => (each as { a_id: string }).a_id)
    expect(parents).to.have.members(['1', '2', '2', '3'])
  })
})

async function connect(core: Core): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: core.world.databaseUrl })
  client.on('error', () => {})
  await client.connect()
  return client
}
