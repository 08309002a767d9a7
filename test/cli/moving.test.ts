import { expect } from 'chai'
import { type App, createLibrary, type Knobs, type Library, quieten, settle } from '../support/library.ts'
import { killTree, waitFor } from '../support/world.ts'

const hooks = { CAPTURE: 'hooks' }
const triggers = { CAPTURE: 'triggers' }

describe('moving from hooks to triggers and back in a rolling deploy', function () {
  this.timeout(240_000)
  let library: Library
  let seed = 1

  before(async () => {
    library = await createLibrary({}, { ROWS: 120, KEEP_UP_TO: 100, LEASE_MS: 1_500, PAUSE_MS: 2 })
    await library.done(['up'], hooks)
  })
  after(() => library.drop())

  const start = async (knobs: Knobs): Promise<App> => {
    const app = await library.app({ SEED: seed++, ...knobs })
    await writes(app, 10)
    return app
  }
  const writes = async (app: App, more: number) => {
    const from = app.report().writes
    await waitFor(() => app.report().writes >= from + more, { timeoutMs: 30_000 })
  }
  const expectEqual = async (...apps: App[]) => {
    await quieten(...apps)
    await library.drained(60_000)
    expect(await library.differences('books-1', { rows: 'books' })).to.deep.equal([])
    expect(await library.differences('books-2', { rows: 'books', revision: 2 })).to.deep.equal([])
    expect(await library.differences('editions', { rows: 'editions' })).to.deep.equal([])
  }
  const tables = async () =>
    (await library.sql<{ name: string }>('SELECT table_name AS name FROM elastic_umzug.captured_tables ORDER BY 1'))
      .map((each) => each.name)

  // Another program: what it writes reaches the index by triggers alone.
  function otherProgram() {
    let running = true
    const sql = [
      `UPDATE books SET title = 'raw ' || random() WHERE id IN (SELECT id FROM books ORDER BY random() LIMIT 3)`,
      `UPDATE authors SET name = 'raw ' || random() WHERE id IN (SELECT id FROM authors ORDER BY random() LIMIT 1)`,
      `INSERT INTO books (title) VALUES ('raw')`,
      `DELETE FROM books WHERE id IN (SELECT id FROM books WHERE id > 100 ORDER BY random() LIMIT 1)`,
      `INSERT INTO reviews (stars, book_id) SELECT 1, min(id) FROM books`,
      `UPDATE authors SET country = chr(65 + (random() * 20)::int)`,
      `UPDATE editions SET pages = pages + 1 WHERE book_id < 9`,
    ]
    const done = (async () => {
      for (let at = 0; running; at++) await library.sql(sql[at % sql.length]!).catch(ignoreDeadlock)
    })()
    return () => {
      running = false
      return done
    }
  }

  it('tells first what up would do', async () => {
    const told = await library.done(['up', '--dry-run'], triggers)
    expect(told).to.include('public.books: triggers would be installed')
    expect(await tables()).to.deep.equal([])
  })

  it('loses nothing on the way to triggers, whoever is killed', async () => {
    const old = await start(hooks)
    const early = await start(triggers)
    await library.done(['up'], triggers)
    expect(await tables()).to.include.members(['public.authors', 'public.book_tags', 'public.books'])
    const stop = otherProgram()
    await writes(early, 20)
    await killTree(early)
    const late = await start(triggers)
    await killTree(old)
    // A version that reads a column more: the triggers record it from before it is registered.
    await library.done(['up'], { ...triggers, REVISION: 2 })
    const next = await start({ ...hooks, REVISION: 2 })
    await stop()
    await expectEqual(late, next)
    await Promise.all([settle(late), settle(next)])
  })

  it('loses nothing on the way back, whoever is killed', async () => {
    const [first, second] = [await start(triggers), await start(triggers)]
    const upped = library.done(['up'], hooks)
    const killed = writes(second, 15).then(() => killTree(second))
    await Promise.all([upped, killed])
    expect(await tables()).to.deep.equal([])
    const next = await start({ ...hooks, REVISION: 2 })
    await writes(first, 20)
    await expectEqual(first, next)
    await Promise.all([settle(first), settle(next)])
    const left = await library.sql(`SELECT FROM pg_trigger WHERE NOT tgisinternal`)
    expect(left).to.deep.equal([])
  })
})

function ignoreDeadlock(error: { code?: string }): void {
  if (error.code !== '40P01' && error.code !== '23503') throw error
}
