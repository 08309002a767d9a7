import { expect } from 'chai'
import { createLibrary, type Library, quieten, settle, told } from '../support/library.ts'
import { waitFor } from '../support/world.ts'

const rows = 500

describe('a new definition while rows change', function () {
  this.timeout(240_000)
  let library: Library
  let reader: Reader

  before(async () => {
    library = await createLibrary({}, { ROWS: rows, KEEP_UP_TO: rows })
    await library.done(['up'])
  })
  after(async () => {
    await reader?.stop()
    await library.drop()
  })

  it('is built and activated under writes; old and new code keep their versions right; rollback is up to date', async () => {
    const oldCode = await library.app({ SEED: 11 })
    reader = readAll(library)
    await waitFor(() => oldCode.report().writes > 20)

    const before = oldCode.report().writes
    const upped = await library.done(['up'], { REVISION: 2 })
    expect(upped).to.include('books-2: active, the alias')
    expect(oldCode.report().writes, told(oldCode)).to.be.greaterThan(before)

    const own = await library.client.indices.getAlias({ name: `${library.prefix}books~*` })
    expect(Object.keys(own).sort(), 'versions with an alias of their definition')
      .to.deep.equal([library.physical('books', 1), library.physical('books', 2)])

    const newCode = await library.app({ REVISION: 2, SEED: 12 })
    const together = newCode.report().writes + oldCode.report().writes
    await waitFor(() =>
      newCode.report().writes > 20 && newCode.report().writes + oldCode.report().writes > together + 60
    )
    await library.done(['es:activate', 'books@1'])
    await library.done(['es:activate', 'books@2'], { REVISION: 2 })
    await library.done(['es:activate', 'books@1'], { REVISION: 2 })

    await quieten(oldCode, newCode)
    const [first, second] = [await settle(oldCode), await settle(newCode)]
    expect(first.writes + second.writes).to.be.greaterThan(100)
    const seen = await reader.stop()
    expect(seen.polls).to.be.greaterThan(50)
    expect(seen.fewest, 'fewest documents that a reader saw').to.be.at.least(rows)
    expect(seen.targets, 'versions that the alias pointed at').to.deep.equal([
      [library.physical('books', 1)],
      [library.physical('books', 2)],
      [library.physical('books', 1)],
      [library.physical('books', 2)],
      [library.physical('books', 1)],
    ])
    expect(await library.differences('books-1', { rows: 'books' })).to.deep.equal([])
    expect(await library.differences('books-2', { rows: 'books', revision: 2 })).to.deep.equal([])
    expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
    expect(await library.differences('editions', { rows: 'editions' })).to.deep.equal([])
  })

  it('a version that nobody kept up to date catches up before it is activated', async () => {
    const oldCode = await library.app({ SEED: 13 })
    await waitFor(() => oldCode.report().writes > 30)
    await settle(oldCode)
    expect(await library.differences('books-2', { rows: 'books', revision: 2 })).not.to.deep.equal([])
    await library.done(['es:activate', 'books@2'], { REVISION: 2 })
    expect(await library.differences('books', { rows: 'books', revision: 2 })).to.deep.equal([])
  })
})

interface Seen {
  polls: number
  fewest: number
  /** What the alias pointed at, one after another. */
  targets: string[][]
}

interface Reader {
  stop(): Promise<Seen>
}

// Polls the alias with one search and one look at its target after the other, as readers do, until it is stopped.
function readAll(library: Library): Reader {
  const alias = `${library.prefix}books`
  const seen: Seen = { polls: 0, fewest: Infinity, targets: [] }
  let stopping = false
  const look = async () => {
    const { hits } = await library.client.search({ index: alias, size: 0, track_total_hits: true })
    seen.fewest = Math.min(seen.fewest, Number((hits.total as { value: number }).value))
    const targets = Object.keys(await library.client.indices.getAlias({ name: alias }))
    if (JSON.stringify(targets) !== JSON.stringify(seen.targets.at(-1))) seen.targets.push(targets)
    seen.polls++
  }
  const running = (async () => {
    while (!stopping) await look()
  })()
  // Thrown by stop().
  running.catch(() => {})
  return {
    stop: async () => {
      stopping = true
      await running
      return seen
    },
  }
}
