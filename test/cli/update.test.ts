import { expect } from 'chai'
import { type Answered, type KillProxy, startKillProxy } from '../support/kill_proxy.ts'
import { createLibrary, type Knobs, type Library, told, written } from '../support/library.ts'
import { waitFor } from '../support/world.ts'

const rows = 2_000

interface Recorded {
  id: string
  action: string
  target: string | null
  state: string
  pid: number
  options: Record<string, unknown> | null
  counts: Record<string, number>
  log: string
  parts: Recorded[]
}

describe('es:update by several processes', function () {
  this.timeout(120_000)
  let library: Library
  let proxy: KillProxy
  let answered: Answered = () => true

  before(async () => {
    library = await createLibrary({}, { ROWS: rows, LEASE_MS: 6_000, CONCURRENCY: 1 })
    proxy = await startKillProxy(library.elasticsearchUrl, (exchange) => answered(exchange))
    await library.done(['up', '--no-search'])
  })
  afterEach(() => {
    answered = () => true
  })
  after(async () => {
    await library.drop()
    await proxy.stop()
  })

  const log = async (...args: string[]) => JSON.parse(await library.done(['log', '--json', ...args])) as Recorded[]
  const one = async (id: string) => JSON.parse(await library.done(['log', '--json', id])) as Recorded
  const shared = async () =>
    (await library.sql('SELECT FROM elastic_umzug.populate_ranges WHERE token IS NOT NULL AND NOT done')).length > 1
  const documentsOf = ({ counts }: Recorded) => counts.documents ?? 0
  // So few rows would be one range; each process takes one at a time.
  const ranged = async (knobs: Knobs) => {
    await library.done(['es:create', 'books'], knobs)
    await library.sql(`INSERT INTO elastic_umzug.populate_ranges (version_id, number, after_key, up_to_key)
      SELECT max(id), n, nullif((n - 1) * ${rows / 4}, 0), CASE n WHEN 4 THEN NULL ELSE n * ${rows / 4} END
      FROM elastic_umzug.index_versions, generate_series(1, 4) n GROUP BY n`)
  }
  const bulk = (path: string) => path.includes('_bulk')

  it('a second machine that runs the same command takes ranges of the first, and then finds nothing to do', async () => {
    await ranged({ REVISION: 1 })
    let isHeld = true
    answered = async ({ path }) => {
      if (bulk(path)) await waitFor(() => !isHeld, { timeoutMs: 60_000 })
      return true
    }
    const first = library.start(['es:update', 'books'], { ELASTICSEARCH_URL: proxy.url })
    await written(first, /populating/)
    const second = library.start(['es:update', 'books'])
    await written(second, /books-1: takes part in populating it/)
    await waitFor(async () => (await library.sql('SELECT FROM elastic_umzug.populate_ranges WHERE done')).length > 0, {
      timeoutMs: 60_000,
    })
    isHeld = false
    const ended = await Promise.all([first.ended, second.ended])
    for (const each of ended) expect(each.code, told(each)).to.equal(0)
    expect(ended[1].stdout).to.match(/waiting for the run lock: es:update of .*populating/)
    expect(ended[1].stdout).to.match(/books-1: brought up to date by es:update of .* meanwhile, nothing to do/)
    const actions = (await log('--command', 'es:update')).reverse()
    expect(actions.map(({ pid, state, target }) => ({ pid, state, target }))).to.deep.equal([
      { pid: first.pid, state: 'complete', target: 'books' },
      { pid: second.pid, state: 'complete', target: 'books' },
    ])
    for (const each of actions) expect(documentsOf(each)).to.be.greaterThan(0)
    expect(documentsOf(actions[0]!) + documentsOf(actions[1]!)).to.equal(rows)
    expect((await one(actions[1]!.id)).parts.map(({ target, options }) => ({ target, options }))).to.deep.equal([
      { target: library.physical('books', 1), options: { joined: true } },
    ])
    expect(await library.differences('books-1', { rows: 'books' })).to.deep.equal([])
  })

  it('case 6: --workers share one populate; the totals of the command are right', async () => {
    // The first page waits until both have taken a range.
    let isShared: Promise<unknown> | undefined
    answered = async ({ path }) => {
      if (bulk(path)) await (isShared ??= waitFor(shared, { timeoutMs: 60_000 }))
      return true
    }
    const knobs = { REVISION: 2, ELASTICSEARCH_URL: proxy.url }
    await ranged({ REVISION: 2 })
    const stdout = await library.done(['es:update', 'books', '--workers', '2', '--batch-size', '200'], knobs)
    expect(stdout).to.include('books-2: ready, 2000 documents').and.not.include('took part')
    const [action] = await log('--command', 'es:update', '--limit', '1')
    expect(action).to.include({ state: 'complete' })
    expect(action!.counts).to.deep.equal({ documents: rows })
    expect(action!.options).to.deep.equal({ batchSize: 200 })
    const { parts } = await one(action!.id)
    expect(parts.map(({ state, options }) => ({ state, options }))).to.deep.equal([
      { state: 'complete', options: null },
      { state: 'complete', options: { joined: true } },
    ])
    for (const each of parts) expect(documentsOf(each)).to.be.greaterThan(0)
    expect(new Set(parts.map((each) => each.pid))).to.have.property('size', 2)
  })

  const killedAtSixthPage = async (args: readonly string[], revision: number) => {
    const child = library.start(args, { REVISION: revision, ELASTICSEARCH_URL: proxy.url })
    let sent = 0
    answered = ({ path }) => {
      if (!bulk(path) || ++sent < 6) return true
      child.kill('SIGKILL')
      return false
    }
    expect((await child.ended).signal, told(child)).to.equal('SIGKILL')
    answered = () => true
    return child
  }

  it('case 15: a refresh that is killed is seen as interrupted, and gone on with; the totals are those of one', async () => {
    const args = ['es:update', 'books@2', '--batch-size', '100']
    const child = await killedAtSixthPage(args, 2)
    const [killed] = await log('--status', 'interrupted')
    expect(killed).to.include({ action: 'es:update', target: 'books@2', pid: child.pid })
    const before = await one(killed!.id)
    expect(before.parts.map((each) => each.state)).to.deep.equal(['interrupted'])
    expect(killed!.counts.attempted).to.be.within(300, rows - 100)
    const stdout = await library.done(args, { REVISION: 2 })
    expect(stdout).to.include(
      `books-2: goes on where action ${before.parts[0]!.id} stopped, after ${killed!.counts.attempted} rows`,
    )
    const [next] = await log('--limit', '1')
    expect(killed!.counts.attempted! + next!.counts.attempted!).to.equal(rows)
    expect(documentsOf(next!)).to.be.at.least(next!.counts.attempted!)
    expect(await library.differences('books-2', { rows: 'books', revision: 2 })).to.deep.equal([])
  })

  it('case 15: a fill that is killed is gone on with; the documents of both are those of the version', async () => {
    const args = ['es:update', 'books', '--batch-size', '100', '--no-copy']
    await killedAtSixthPage(args, 3)
    await library.sql(`UPDATE elastic_umzug.populate_ranges SET expires_at = clock_timestamp()`)
    await library.done(args, { REVISION: 3 })
    const [next, killed] = await log('--command', 'es:update', '--limit', '2')
    expect(killed!.state).to.equal('interrupted')
    expect(documentsOf(killed!)).to.be.within(100, rows - 100)
    expect(documentsOf(killed!) + documentsOf(next!)).to.equal(rows)
  })

  it('log shows one with its parts, and refuses what there is not', async () => {
    const [last] = await log('--command', 'es:update', '--index', 'books', '--limit', '1')
    const shown = await library.done(['log', last!.id])
    expect(shown).to.match(/^\d+ es:update books complete /).and.include('command line: es:update books')
    expect(shown).to.match(/^ {4}\d+ es:update \w*books-3 complete /m)
    const [none, wrong] = await Promise.all([library.cli(['log', '999999']), library.cli(['log', '--status', 'done'])])
    expect(none).to.include({ code: 1 }).and.property('stderr').to.include('ACTION_UNKNOWN').and.include('next: ')
    expect(wrong).to.include({ code: 2 }).and.property('stderr').to.include('COMMAND_INVALID')
  })

  it('log --follow tells what is done as it is done, until it is stopped', async () => {
    const follower = library.start(['log', '-f', '--command', 'es:update'])
    await written(follower, /es:update: /)
    await library.done(['es:update', 'books@2', '--ids', '1,2,3'], { REVISION: 2 })
    await written(follower, /\d+ es:update: \S+ \S*books-2: updating 3 rows[\s\S]*\d+ es:update: complete/)
    follower.kill('SIGTERM')
    expect((await follower.ended).code).to.equal(0)
  })
})
