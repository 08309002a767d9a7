import { expect } from 'chai'
import { fileURLToPath } from 'node:url'
import { type App, createLibrary, type Library, quieten, settle, told, written } from '../support/library.ts'
import type { Seen } from '../support/reader.ts'
import { type Running, waitFor } from '../support/world.ts'

const rows = 60
const [first, second, third] = [{ REVISION: 1 }, { REVISION: 2 }, { REVISION: 3 }]
const [withoutCountry, withCountry] = ['id,name', 'country,id,name']

describe('a rolling deploy', function () {
  this.timeout(240_000)
  let library: Library
  let byAlias: Reader
  let byFirst: Reader
  let bySecond: Reader
  let oldCode: App
  let newCode: App
  let newest: App

  before(async () => {
    library = await createLibrary({}, { ROWS: rows, KEEP_UP_TO: rows, LEASE_MS: 1_500, PAUSE_MS: 10, KEEP_RETIRED: 1 })
    byAlias = await read(library, `${library.prefix}books`)
  })
  after(() => library.drop())

  const pointed = async () => Object.keys(await library.client.indices.getAlias({ name: `${library.prefix}books` }))
  const definitionAlias = async (number: number) => {
    const physical = library.physical('books', number)
    const { [physical]: found } = await library.client.indices.getAlias({ index: physical })
    return Object.keys(found!.aliases).find((each) => each.includes('~'))!
  }
  const more = async (app: App, writes: number) => {
    const from = app.report().writes
    await waitFor(() => app.report().writes >= from + writes, { timeoutMs: 60_000 })
  }

  it('case 17: the first run: from no index to a complete one', async () => {
    await waitFor(() => byAlias.seen().absent > 0)
    await library.done(['up'], first)
    await byAlias.polled(3)
    expect(byAlias.seen()).to.deep.include({ absentLater: 0, wrong: [], shapes: [withoutCountry] })
    byFirst = await read(library, await definitionAlias(1))
  })

  it('old code serves and writes while new code prepares its version', async () => {
    oldCode = await library.app({ ...first, SEED: 31 })
    await more(oldCode, 5)
    await library.done(['es:create', 'books'], second)
    await library.done(['es:update', 'books'], second)
    await more(oldCode, 5)
    expect(await pointed()).to.deep.equal([library.physical('books', 1)])
    bySecond = await read(library, await definitionAlias(2))
    newCode = await library.app({ ...second, SEED: 32 })
    await more(newCode, 5)
  })

  it('case 12: activation, rollback and rolling forward are seen by processes that run already', async () => {
    for (const [number, knobs] of [[2, second], [1, first], [2, second]] as const) {
      await library.done(['es:activate', `books@${number}`], knobs)
      expect(await pointed()).to.deep.equal([library.physical('books', number)])
      await byAlias.polled(3)
      await Promise.all([more(oldCode, 5), more(newCode, 5)])
    }
    expect(byAlias.seen().shapes).to.deep.equal([withoutCountry, withCountry, withoutCountry, withCountry])
  })

  it('case 17: the next one leaves one retired version, and drops the oldest when its code is gone', async () => {
    expect(await byFirst.stop()).to.deep.include({ absent: 0, wrong: [], shapes: [withoutCountry] })
    expectNoFailures(oldCode)
    await settle(oldCode)
    await library.done(['es:create', 'books'], third)
    await library.done(['es:update', 'books'], third)
    newest = await library.app({ ...third, SEED: 33 })
    await library.done(['es:activate', 'books'], third)
    await Promise.all([more(newCode, 10), more(newest, 10)])
    const due = `SELECT FROM elastic_umzug.index_versions WHERE dropped_at < clock_timestamp() - interval '3 seconds'`
    await waitFor(async () => (await library.sql(due)).length > 0)
    await library.done(['up'], third)
    expect(await pointed()).to.deep.equal([library.physical('books', 3)])
    expect(Object.keys(await library.client.indices.get({ index: `${library.prefix}books-*` })).sort()).to.deep.equal([
      library.physical('books', 2),
      library.physical('books', 3),
    ])
  })

  it('every live version is as its rows, each in its shape; no writer saw an error', async () => {
    await quieten(newCode, newest)
    await library.drained(60_000)
    expect(await library.differences('books-2', { rows: 'books', revision: 2 })).to.deep.equal([])
    expect(await library.differences('books', { rows: 'books', revision: 3 })).to.deep.equal([])
    expect(await library.differences('editions', { rows: 'editions' })).to.deep.equal([])
    expectNoFailures(newCode)
    expectNoFailures(newest)
    await Promise.all([settle(newCode), settle(newest)])
  })

  it('case 17: a version that Elasticsearch does not take leaves the alias where it is', async () => {
    await library.sql(`UPDATE books SET price = 'NaN' WHERE id = 7`)
    const failed = await library.cli(['up'], { REVISION: 4 })
    expect(failed.code, told(failed)).to.equal(1)
    expect(failed.stderr).to.match(/DOCUMENT_REFUSED.*\n? *next: ./s)
    expect(await pointed()).to.deep.equal([library.physical('books', 3)])
  })

  it('case 17: readers have always had complete answers of the right shape', async () => {
    expect(await bySecond.stop()).to.deep.include({ absent: 0, wrong: [], shapes: [withCountry] })
    const seen = await byAlias.stop()
    expect(seen).to.deep.include({
      absentLater: 0,
      wrong: [],
      shapes: [withoutCountry, withCountry, withoutCountry, withCountry],
    })
    expect(seen.polls).to.be.greaterThan(100)
  })
})

interface Reader {
  seen(): Seen
  /** Waits for so many more answers. */
  polled(answers: number): Promise<void>
  stop(): Promise<Seen>
}

async function read(library: Library, target: string): Promise<Reader> {
  const child = library.run(fileURLToPath(new URL('../support/reader.ts', import.meta.url)), {
    TARGET: target,
    UP_TO: rows,
  })
  await written(child, /"polls"/)
  const seen = () => JSON.parse(lastLine(child)) as Seen
  return {
    seen,
    polled: async (answers) => {
      const { polls, wrong } = seen()
      await waitFor(() => seen().polls >= polls + answers || seen().wrong.length > wrong.length, { timeoutMs: 30_000 })
    },
    stop: async () => {
      child.kill('SIGTERM')
      expect((await child.ended).code, told(child)).to.equal(0)
      return seen()
    },
  }
}

function lastLine({ stdout }: Running): string {
  return stdout.slice(0, stdout.lastIndexOf('\n')).split('\n').at(-1)!
}

// Writers that change the same rows may be chosen by PostgreSQL to give way: that is theirs, with or without us.
function expectNoFailures(app: App): void {
  const failures = app.stderr.split('\n').filter((line) => line !== '' && !/deadlock detected|foreign key/.test(line))
  expect(failures).to.deep.equal([])
}
