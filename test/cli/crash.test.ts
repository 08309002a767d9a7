import { expect } from 'chai'
import { type Answered, type KillProxy, startKillProxy } from '../support/kill_proxy.ts'
import { createLibrary, type Library, told, written } from '../support/library.ts'
import { killTree, type Running, waitFor } from '../support/world.ts'

const rows = 2_000

describe('kill -9', function () {
  this.timeout(120_000)
  let library: Library
  let proxy: KillProxy
  let answered: Answered = () => true

  before(async () => {
    library = await createLibrary({}, { ROWS: rows, LEASE_MS: 2_000 })
    proxy = await startKillProxy(library.elasticsearchUrl, (exchange) => answered(exchange))
  })
  afterEach(() => {
    answered = () => true
  })
  after(async () => {
    await library.drop()
    await proxy.stop()
  })

  const throughProxy = () => ({ ELASTICSEARCH_URL: proxy.url })
  const killWhen = async (child: Running, isMoment: Answered) => {
    answered = (exchange) => {
      if (!isMoment(exchange)) return true
      child.kill('SIGKILL')
      return false
    }
    expect((await child.ended).signal, told(child)).to.equal('SIGKILL')
  }
  const settingsOf = async (index: string) => {
    const { [index]: found } = await library.client.indices.getSettings({ index })
    return found!.settings!.index!
  }
  const states = async () =>
    (await library.sql<{ line: string }>(
      `SELECT replace(physical, $1, '') || ' ' || state AS line FROM elastic_umzug.index_versions ORDER BY id`,
      [library.prefix],
    )).map((each) => each.line)

  describe('of up', () => {
    it('inside a migration: nothing of it is left, and it is not recorded', async () => {
      const release = await library.hold(4711)
      const child = library.start(['up'])
      await waitFor(() => library.waits(4711), { timeoutMs: 30_000 })
      await killTree(child)
      await release()
      await waitFor(async () => !await library.waits(4711))
      const executed = await library.sql<{ name: string }>('SELECT name FROM "SequelizeMeta" ORDER BY name')
      expect(executed.map((each) => each.name).at(-1)).to.equal('20260105000000-first-rows.cjs')
      expect(await library.sql(`SELECT FROM pg_class WHERE relname = 'shelves'`)).to.deep.equal([])
    })

    it('inside populate: what was written is not written again', async () => {
      const child = library.start(['up'], throughProxy())
      let pages = 0
      await killWhen(child, ({ path }) => path.includes('_bulk') && ++pages === 2)
      expect(told(child)).to.include('20260106000000-add-shelves')
      expect(await states()).to.deep.equal(['books-1 populating'])
      const [range] = await library.sql<{ documents: string }>('SELECT documents FROM elastic_umzug.populate_ranges')
      expect(Number(range!.documents)).to.be.greaterThan(0)
    })

    it('between the alias and the rows: the next up goes on from the checkpoint, and is killed there', async () => {
      const child = library.start(['up'], throughProxy())
      let sent = 0
      await killWhen(child, ({ path, body }) => {
        if (path.includes('_bulk')) sent += body.split('\n').length >> 1
        return path.startsWith('/_aliases') && body.includes(`"${library.prefix}books"`)
      })
      expect(sent).to.be.lessThan(rows)
      const alias = await library.client.indices.getAlias({ name: `${library.prefix}books` })
      expect(Object.keys(alias)).to.deep.equal([library.physical('books', 1)])
      expect(await states()).to.deep.equal(['books-1 ready'])
    })

    it('then up ends right: rows as the alias says, settings as the definition says, every document as its row', async () => {
      const told = await library.done(['up'])
      expect(told).to.include('books-1: recorded as active, as the alias says')
      expect(await states()).to.deep.equal(['books-1 active', 'editions-1 active'])
      const books = await settingsOf(library.physical('books', 1))
      expect(books).to.include({ number_of_replicas: '0', refresh_interval: '150ms' })
      const editions = await settingsOf(library.physical('editions', 1))
      expect(editions).to.include({ number_of_replicas: '1' }).and.not.have.property('refresh_interval')
      expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
      expect(await library.differences('editions', { rows: 'editions' })).to.deep.equal([])
    })

    it('log shows each killed run as interrupted', async () => {
      const actions = JSON.parse(await library.done(['log', '--json'])) as { state: string }[]
      expect(actions.map((each) => each.state)).to.deep.equal(['complete', 'interrupted', 'interrupted', 'interrupted'])
    })
  })

  describe('of a worker that has written and not yet settled', () => {
    before(() => library.done(['up']))

    const claims = async () =>
      (await library.sql('SELECT FROM elastic_umzug.pending WHERE token IS NOT NULL AND due_at > clock_timestamp()'))
        .length
    const finish = async () => {
      const other = library.start(['queue:work'])
      await library.drained()
      other.kill('SIGTERM')
      expect((await other.ended).code, told(other)).to.equal(0)
      expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
      expect(await library.differences('editions', { rows: 'editions' })).to.deep.equal([])
    }
    const isBulk: Answered = ({ path }) => path.includes('_bulk')

    it('queue:work: another one goes on, nothing is lost', async () => {
      const worker = library.start(['queue:work'], throughProxy())
      await written(worker, /working/)
      const killed = killWhen(worker, isBulk)
      // The cluster is away for this one: it writes rows, and others have to bring them into the index.
      const writer = await library.app({ ELASTICSEARCH_URL: 'http://127.0.0.1:1' })
      await killed
      expect(await claims()).to.be.greaterThan(0)
      await waitFor(() => writer.report().writes > 50)
      await killTree(writer)
      await finish()
    })

    it('the worker of an application: another one goes on, nothing is lost', async () => {
      await killWhen(await library.app({ ...throughProxy(), SEED: 2 }), isBulk)
      expect(await claims()).to.be.greaterThan(0)
      await finish()
    })
  })
})
