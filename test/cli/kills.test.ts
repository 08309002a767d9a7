import { expect } from 'chai'
import { createStepKiller, type StepKiller } from '../support/kill_steps.ts'
import { createLibrary, type Knobs, type Library } from '../support/library.ts'

const second = { REVISION: 2 }

describe('kill -9 at each step, then the same command again', function () {
  this.timeout(240_000)
  let library: Library
  let killer: StepKiller
  const killed: Record<string, number> = {}

  before(async () => {
    library = await createLibrary({}, { ROWS: 3, LEASE_MS: 500, POLL_MS: 20, TAG: 'v1' })
    killer = await createStepKiller(library)
    await library.done(['up', '--no-search'])
  })
  after(async () => {
    await library.drop()
    await killer.stop()
  })

  afterEach(() => expectNothingLeft())

  const again = async (args: string[], at: RegExp[], knobs: Knobs = {}): Promise<void> => {
    const { steps } = await killer.run(args, at, knobs)
    const command = args.includes('--in-place') ? 'es:create --in-place' : args[0]!
    killed[command] = (killed[command] ?? 0) + steps.length
  }
  const states = async () =>
    (await library.sql<{ line: string }>(
      `SELECT replace(physical, $1, '') || ' ' || state AS line FROM elastic_umzug.index_versions
       WHERE removed_at IS NULL ORDER BY physical`,
      [library.prefix],
    )).map((each) => each.line)

  // Every index and alias is that of a version, every version has its own, and no row is of a version that is gone.
  async function expectNothingLeft() {
    const versions = await library.sql<{ physical: string; state: string }>(
      `SELECT physical, state FROM elastic_umzug.index_versions WHERE removed_at IS NULL`,
    )
    const found = await library.client.indices.get({ index: `${library.prefix}*`, expand_wildcards: 'all' })
    const physical = Object.keys(found).filter((each) => !each.includes('elastic-umzug~'))
    expect(physical.sort(), 'physical indexes').to.deep.equal(versions.map((each) => each.physical).sort())
    for (const each of versions) {
      const { settings, aliases } = found[each.physical]!
      const alias = each.physical.replace(/-\d+$/, '')
      const names = Object.keys(aliases!).filter((name) => !name.startsWith(`${alias}~`))
      const wanted = [`${each.physical}.write`, ...(each.state === 'active' ? [alias] : [])]
      expect(names.sort(), `aliases of ${each.physical}, ${each.state}`).to.deep.equal(wanted.sort())
      if (each.state === 'created') continue
      expect(settings!.index!.translog, `${each.physical} is loaded as before`).to.equal(undefined)
      expect(settings!.index!.refresh_interval).to.equal(alias.endsWith('books') ? '150ms' : undefined)
    }
    const templates = await library.client.indices.getIndexTemplate({ name: `elastic-umzug-${library.prefix}*` })
    const kept = templates.index_templates.map((each) => each.name.replace(`elastic-umzug-${library.prefix}`, ''))
    expect(kept.filter((each) => !['books', 'editions'].includes(each)), 'templates').to.deep.equal([])
    for (const table of ['pending', 'populate_ranges', 'populate_deletes', 'outdated']) {
      const orphans = await library.sql(
        `SELECT FROM elastic_umzug.${table} LEFT JOIN elastic_umzug.index_versions v ON v.id = version_id
         WHERE v.id IS NULL OR v.removed_at IS NOT NULL`,
      )
      expect(orphans, table).to.deep.equal([])
    }
    expect(await library.sql('SELECT FROM elastic_umzug.changes')).to.deep.equal([])
    expect(await library.sql('SELECT FROM elastic_umzug.pending')).to.deep.equal([])
    expect(await library.sql('SELECT FROM elastic_umzug.populate_deletes')).to.deep.equal([])
    expect(await library.sql('SELECT FROM elastic_umzug.populate_ranges WHERE NOT done')).to.deep.equal([])
    const locks = `SELECT FROM pg_locks WHERE locktype = 'advisory'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
    expect(await library.sql(locks), 'advisory locks').to.deep.equal([])
  }

  it('up', async () => {
    await again(['up'], [/./])
    expect(await states()).to.deep.equal(['books-1 active', 'editions-1 active'])
    expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
    expect(await library.differences('editions', { rows: 'editions' })).to.deep.equal([])
  })

  it('es:create', async () => {
    await again(['es:create', 'books'], [/./], second)
    expect(await states()).to.deep.equal(['books-1 active', 'books-2 created', 'editions-1 active'])
  })

  it('es:update that fills', async () => {
    await again(['es:update', 'books'], [/async/, /_bulk/, /~H/], second)
    expect(await states()).to.include('books-2 ready')
    expect(await library.differences('books-2', { rows: 'books', revision: 2 })).to.deep.equal([])
  })

  it('es:activate, and back', async () => {
    await again(['es:activate', 'books'], [/_aliases/], second)
    expect(await states()).to.include.members(['books-1 retired', 'books-2 active'])
    await again(['es:activate', 'books@1'], [/_aliases/])
    expect(await states()).to.include.members(['books-1 active', 'books-2 retired'])
  })

  it('es:update that refreshes', async () => {
    await library.sql(`UPDATE books SET title = 'unseen' WHERE id = 2`)
    await again(['es:update', 'books@1'], [/_bulk/])
    expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
  })

  it('es:clear', async () => {
    await again(['es:clear', 'books@2', '--yes'], [/_bulk/])
    expect(await states()).to.include('books-2 created')
    expect((await library.client.count({ index: library.physical('books', 2) })).count).to.equal(0)
  })

  it('es:create --restore', async () => {
    await library.client.indices.delete({ index: library.physical('books', 2) })
    await again(['es:create', '--restore'], [/./])
    expect(await states()).to.include('books-2 created')
  })

  it('es:drop', async () => {
    await again(['es:drop', 'books@2', '--yes'], [/./])
    expect(await states()).to.deep.equal(['books-1 active', 'editions-1 active'])
  })

  it('es:create --in-place', async () => {
    await again(['es:create', '--in-place', 'books'], [/./], second)
    expect(await states()).to.deep.equal(['books-1 active', 'editions-1 active'])
    await library.done(['es:update', 'books'], second)
    expect(await library.differences('books', { rows: 'books', revision: 2 })).to.deep.equal([])
  })

  it('es:reset', async () => {
    await again(['es:reset', 'books', '--yes'], [
      /PUT \/books-N$/,
      /_bulk/,
      /"remove":{"index":"books-N","alias":"books",/,
      /DELETE/,
    ], second)
    const [books, editions, ...others] = await states()
    expect(books).to.match(/^books-\d+ active$/)
    expect([editions, ...others]).to.deep.equal(['editions-1 active'])
    expect(await library.differences('books', { rows: 'books', revision: 2 })).to.deep.equal([])
  })

  it('the log tells of every run how it ended', async () => {
    const log = JSON.parse(await library.done(['log', '--json', '--limit', '1000'])) as {
      action: string
      state: string
    }[]
    for (const [command, times] of Object.entries(killed)) {
      const of = log.filter((each) => each.action === command).map((each) => each.state)
      expect(of.filter((each) => each === 'interrupted'), command).to.have.length(times)
      expect(of.filter((each) => !['interrupted', 'complete'].includes(each)), command).to.deep.equal([])
    }
  })
})
