import { expect } from 'chai'
import { createLibrary, type Library, told } from '../support/library.ts'

const migrations = [
  '20260101000000-create-authors.cjs',
  '20260102000000-create-books.cjs',
  '20260103000000-create-tags.ts',
  '20260104000000-create-editions.sql',
  '20260105000000-first-rows.cjs',
  '20260106000000-add-shelves.cjs',
]

describe('umzug up', function () {
  this.timeout(120_000)

  describe('by and by', () => {
    let library: Library

    before(async () => {
      library = await createLibrary()
    })
    after(() => library.drop())

    const schemas = async () =>
      (await library.sql<{ name: string }>(
        `SELECT nspname AS name FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)' ORDER BY 1`,
      )).map((each) => each.name)
    const tables = async () =>
      (await library.sql<{ name: string }>(
        `SELECT relname AS name FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = 'public' AND relkind = 'r' ORDER BY 1`,
      )).map((each) => each.name)
    const physicals = async () => Object.keys(await library.client.indices.get({ index: `${library.prefix}*` })).sort()
    const targets = async (alias: string) =>
      Object.keys(await library.client.indices.getAlias({ name: `${library.prefix}${alias}` }))
    const lines = (text: string) => text.trimEnd().split('\n').map((each) => each.replaceAll(library.prefix, ''))

    it('--dry-run on an empty database tells everything and makes nothing', async () => {
      const told = await library.done(['up', '--dry-run'])
      expect(lines(told)).to.deep.equal([
        ...migrations.map((name) => `${name}: would be applied`),
        'a new version of books: would be created, populated, activated',
        'a new version of editions: would be created, populated, activated',
      ])
      expect(await schemas()).to.deep.equal(['public'])
      expect(await tables()).to.deep.equal([])
      expect(await physicals()).to.deep.equal([])
    })

    it('--step with --no-search applies as many migrations and no index', async () => {
      const told = await library.done(['up', '--step', '1', '--no-search'])
      expect(lines(told).at(-1)).to.equal('up: 1 migration applied, 0 indexes changed')
      expect(await tables()).to.deep.equal(['SequelizeMeta', 'authors'])
      expect(await physicals()).to.deep.equal([])
    })

    it('--to goes up to a name, which may lack its extension', async () => {
      await library.done(['up', '--to', '20260103000000-create-tags', '--no-search'])
      const [executed, pending] = await Promise.all([library.done(['executed']), library.done(['pending', '--json'])])
      expect(lines(executed)).to.deep.equal(migrations.slice(0, 3))
      expect((JSON.parse(pending) as { name: string }[]).map((each) => each.name)).to.deep.equal(migrations.slice(3))
    })

    it('migrates, builds and activates all, and says each step', async () => {
      const told = lines(await library.done(['up']))
      expect(told).to.include.members([
        'books-1: created',
        'books-1: populating 60 rows',
        'books-1: ready, 60 documents',
        'books-1: active, the alias books points at it',
        'editions-1: active, the alias editions points at it',
      ])
      expect(told.at(-1)).to.equal('up: 3 migrations applied, 2 indexes changed')
      expect(await targets('books')).to.deep.equal([library.physical('books', 1)])
      expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
      expect(await library.differences('editions', { rows: 'editions' })).to.deep.equal([])
    })

    it('does nothing the second time, and says so', async () => {
      const before = await library.client.indices.stats({ index: `${library.prefix}*`, metric: 'indexing' })
      const told = lines(await library.done(['up']))
      expect(told).to.deep.equal([
        'books-1: active, nothing to do',
        'editions-1: active, nothing to do',
        'up: 0 migrations applied, 0 indexes changed',
      ])
      const after = await library.client.indices.stats({ index: `${library.prefix}*`, metric: 'indexing' })
      expect(after._all.total?.indexing?.index_total).to.equal(before._all.total?.indexing?.index_total)
    })

    it('es:create, es:update and es:activate take a changed definition through its steps', async () => {
      const newer = { REVISION: 2, TAG: 'v2' }
      expect(lines(await library.done(['es:create', 'books', '--dry-run'], newer))).to.deep.equal([
        'a new version of books: would be created',
      ])
      await library.done(['es:create', 'books'], newer)
      expect(await states()).to.deep.equal({ 'books-1': 'active', 'books-2': 'created', 'editions-1': 'active' })
      await library.done(['es:update', 'books'], newer)
      expect(await states()).to.include({ 'books-1': 'active', 'books-2': 'ready' })
      expect(await targets('books')).to.deep.equal([library.physical('books', 1)])
      await library.done(['es:activate', 'books'], newer)
      expect(await states()).to.include({ 'books-1': 'retired', 'books-2': 'active' })
      expect(await targets('books')).to.deep.equal([library.physical('books', 2)])
      expect(await library.differences('books', { rows: 'books', revision: 2 })).to.deep.equal([])
    })

    it('--no-activate stops before the alias moves; the next up only activates', async () => {
      await library.done(['up', '--no-activate'], { REVISION: 3 })
      expect(await states()).to.include({ 'books-2': 'active', 'books-3': 'ready' })
      const told = lines(await library.done(['up'], { REVISION: 3 }))
      expect(told).to.include('books-3: active, the alias books points at it')
      expect(told).not.to.include('books-3: created')
      expect(await states()).to.deep.equal({
        'books-1': 'retired',
        'books-2': 'retired',
        'books-3': 'active',
        'editions-1': 'active',
      })
    })

    it('es:create --force --dry-run tells of the version that it would make, and makes none', async () => {
      const told = lines(await library.done(['es:create', 'books', '--force', '--dry-run']))
      expect(told).to.deep.equal(['a new version of books: would be created'])
      expect(lines(await library.done(['es:create', 'books']))).to.have.length(1)
    })

    it('activates an older version again: rollback', async () => {
      await library.done(['es:activate', 'books@1'])
      expect(await targets('books')).to.deep.equal([library.physical('books', 1)])
      expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
    })

    it('down reverts the last migration, and --to all behind a name', async () => {
      expect(lines(await library.done(['down', '--dry-run']))).to.deep.equal([`${migrations[5]}: would be reverted`])
      await library.done(['down'])
      expect(await tables()).not.to.include('shelves')
      await library.done(['down', '--to', migrations[4]!])
      expect(lines(await library.done(['executed']))).to.deep.equal(migrations.slice(0, 4))
      expect(await library.sql('SELECT FROM books')).to.deep.equal([])
    })

    it('queue:status and log tell what happened, as text and as JSON', async () => {
      const [status, statusJson, log, logJson, list] = await Promise.all([
        library.done(['queue:status']),
        library.done(['queue:status', '--json']),
        library.done(['log']),
        library.done(['log', '--json']),
        library.done(['es:list']),
      ])
      expect(lines(status)[0]).to.match(/^index +version +state +backlog +lag +aborted$/)
      expect(JSON.parse(statusJson)).to.deep.include({
        index: 'books',
        version: 2,
        state: 'retired',
        backlog: 0,
        lagMs: 0,
        aborted: 0,
        abortedKeys: [],
      })
      expect(lines(log)[0]).to.match(/^id +action +state +target +started +took +by +counts +command line$/)
      const actions = JSON.parse(logJson) as { action: string; state: string; commandLine: string; user: string }[]
      expect(actions.map((each) => each.commandLine).reverse()).to.deep.equal([
        'up --step 1 --no-search',
        'up --to 20260103000000-create-tags --no-search',
        'up',
        'up',
        'es:create books',
        'es:update books',
        'es:activate books',
        'up --no-activate',
        'up',
        'es:create books',
        'es:activate books@1',
        'down',
        `down --to ${migrations[4]}`,
      ])
      expect(new Set(actions.map((each) => each.state))).to.deep.equal(new Set(['complete']))
      expect(logJson + log).not.to.include(new URL(library.databaseUrl).password)
      expect(lines(list)[0]).to.match(
        /^version +state +documents +rows +size +backlog +lag +aborted +definition +code +tag +created$/,
      )
      expect(list).to.match(/books-2 .* v2 /)
    })

    async function states(): Promise<Record<string, string>> {
      const list = JSON.parse(await library.done(['es:list', '--json'])) as { physical: string | null; state: string }[]
      // Definitions that have no version are listed too.
      return Object.fromEntries(
        list.flatMap(({ physical, state }) => physical ? [[physical.replace(library.prefix, ''), state]] : []),
      )
    }
  })

  describe('on ten machines at once', () => {
    let library: Library

    before(async () => {
      library = await createLibrary()
    })
    after(() => library.drop())

    it('runs each migration once and builds one version', async () => {
      const ended = await Promise.all(Array.from({ length: 10 }, () => library.cli(['up'])))
      for (const each of ended) expect(each.code, told(each)).to.equal(0)
      const applied = ended.map((each) => Number(/(\d+) migrations? applied/.exec(each.stdout)?.[1]))
      expect(applied.sort((a, b) => b - a)).to.deep.equal([migrations.length, ...Array<number>(9).fill(0)])
      const built = ended.map((each) => each.stdout.match(/^\S+: created/gm)?.length ?? 0)
      expect(built.sort((a, b) => b - a)).to.deep.equal([2, ...Array<number>(9).fill(0)])
      const names = Object.keys(await library.client.indices.get({ index: `${library.prefix}*` })).sort()
      expect(names).to.deep.equal([library.physical('books', 1), library.physical('editions', 1)])
      expect(await library.sql('SELECT FROM books')).to.have.length(60)
      expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
      expect(await library.differences('editions', { rows: 'editions' })).to.deep.equal([])
    })
  })
})
