import { expect } from 'chai'
import { startKillProxy } from '../support/kill_proxy.ts'
import { createLibrary, type Library, told } from '../support/library.ts'
import { killTree, waitFor } from '../support/world.ts'

describe('umzug es:verify', function () {
  this.timeout(120_000)
  let library: Library
  before(async () => {
    library = await createLibrary()
    await library.done(['up'])
  })
  after(() => library.drop())

  const index = () => library.physical('books', 1)
  const tamper = async (id: string) =>
    await library.client.update({ index: index(), id, doc: { title: 'of nobody' }, refresh: true })

  it('says what is equal, and exits with 0', async () => {
    const stdout = await library.done(['es:verify'])
    expect(stdout).to.contain(`${index()}: equal`).and.contain(`${library.physical('editions', 1)}: equal`)
  })

  it('exits with 1, naming counts and keys, as JSON too; repairs them when asked', async () => {
    const [{ id }] = await library.sql<{ id: string }>(
      'SELECT id FROM books WHERE published AND deleted_at IS NULL ORDER BY id LIMIT 1',
    ) as [{ id: string }]
    await tamper(id)
    const failed = await library.cli(['es:verify', 'books', '--json'])
    expect(failed.code).to.equal(1)
    expect(failed.stderr).to.contain('error VERIFY_FAILED').and.contain('1 different')
      .and.contain(`${id}: its document is not what its row gives`).and.contain('next: npx umzug es:verify --repair')
    const [found] = JSON.parse(failed.stdout)
    expect(found).to.deep.include({ index: 'books', version: 1, first: [{ key: id, fault: 'different' }] })
    expect(await library.done(['es:verify', '--repair', 'books@1'])).to.contain('repaired: 1 different')
    expect(await library.differences('books', { rows: 'books' })).to.eql([])
  })

  it('stops at Ctrl-C while it waits for the queue, with exit code 130', async () => {
    const [{ id }] = await library.sql<{ id: string }>(
      'SELECT id FROM books WHERE published AND deleted_at IS NULL ORDER BY id LIMIT 1',
    ) as [{ id: string }]
    await tamper(id)
    // Somebody else is at a key, for as long as this takes.
    await library.sql(
      `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change, token, due_at)
       SELECT id, $1, 0, gen_random_uuid(), clock_timestamp() + interval '1 h'
       FROM elastic_umzug.index_versions WHERE physical = $2`,
      [id, index()],
    )
    const child = library.start(['es:verify', 'books'])
    await waitFor(
      async () =>
        (await library.sql(`SELECT FROM elastic_umzug.actions WHERE action = 'es:verify' AND state = 'in_progress'`))
          .length > 0,
      { timeoutMs: 60_000 },
    )
    child.kill('SIGINT')
    const ended = await child.ended
    expect(ended.code, told(ended)).to.equal(130)
    expect(ended.stderr).to.include('error STOPPED')
    await library.sql('DELETE FROM elastic_umzug.pending')
  })

  it('goes on where a killed one stopped, with what that one found', async () => {
    await library.sql(`INSERT INTO books (title, created_at, updated_at)
      SELECT 'many ' || n, now(), now() FROM generate_series(1, 10600) n`)
    await library.done(['es:verify', '--repair', 'books'])
    const [{ id }] = await library.sql<{ id: string }>(
      `SELECT id FROM books WHERE published AND deleted_at IS NULL ORDER BY id LIMIT 1`,
    ) as [{ id: string }]
    await tamper(id)
    let rows = 0
    let late: () => void = () => {}
    const reached = new Promise<void>((resolve) => late = resolve)
    const proxy = await startKillProxy(library.elasticsearchUrl, ({ path }) => {
      // Behind 10 pages of rows there is a checkpoint; the 12th asks for more after it was stored.
      if (!path.includes('_mget') || ++rows < 14) return true
      late()
      return false
    })
    try {
      const child = library.start(['es:verify', 'books'], { ELASTICSEARCH_URL: proxy.url })
      await Promise.race([reached, child.ended])
      await killTree(child)
    } finally {
      await proxy.stop()
    }
    const again = await library.cli(['es:verify', 'books'])
    expect(again.code, told(again)).to.equal(1)
    expect(again.stdout).to.match(/books-1: goes on where a comparison was stopped, behind \d{5} documents and rows/)
    expect(again.stderr).to.contain(`${id}: its document is not what its row gives`)
    const full = await library.cli(['es:verify', 'books', '--full'])
    expect(full.stdout, 'the one before had ended').not.to.include('goes on where')
    await library.done(['es:verify', 'books', '--repair'])
  })

  it('compares a sample, and refuses one of nothing', async () => {
    const [sampled] = JSON.parse(await library.done(['es:verify', 'books', '--sample', '500', '--json']))
    expect(sampled).to.include({ sampled: true, index: 'books' })
    expect(sampled.compared).to.be.within(600, 1_500)
    await library.client.deleteByQuery({ index: index(), query: { match_all: {} }, refresh: true })
    const failed = await library.cli(['es:verify', 'books', '--sample', '500'])
    expect(failed.code).to.equal(1)
    expect(failed.stdout).to.match(/books-1: 0 documents, \d{5} rows: they differ/)
    expect(failed.stderr).to.match(/\d+ missing/)
    for (const wrong of [['--sample', '0'], ['--sample', '10001'], ['--sample', '5', '--repair']]) {
      const refused = await library.cli(['es:verify', ...wrong])
      expect(refused.code, wrong.join(' ')).to.equal(2)
    }
  })

  it('refuses what there is not', async () => {
    const ended = await library.cli(['es:verify', 'nothing'])
    expect(ended.code).to.equal(1)
    expect(ended.stderr).to.contain('error VERSION_UNKNOWN').and.contain('next: npx umzug es:list')
  })
})
