import { expect } from 'chai'
import { monotonicClock } from '../../adapters/clock.ts'
import { createNotifier, listen } from '../../src/queue/listen.ts'
import { startWorker, type WorkerOptions } from '../../src/queue/worker.ts'
import { pauseMs } from '../../src/queue/outage.ts'
import type { Store } from '../../src/store/store.ts'
import { type Core, createCore, pendingRows, readyVersion, write } from '../support/core.ts'
import { waitFor } from '../support/world.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** The store, counting the statements that reach the database. */
function counting(store: Store): { store: Store; statements: string[] } {
  const statements: string[] = []
  const { db } = store
  return {
    statements,
    store: {
      ...store,
      db: {
        ...db,
        query: (sql, values) => {
          statements.push(sql)
          return db.query(sql, values)
        },
        transaction: (work) => {
          statements.push('BEGIN')
          return db.transaction(work)
        },
      },
    },
  }
}

describe('an idle worker', () => {
  let core: Core
  before(async () => {
    core = await createCore()
    await readyVersion(core)
  })
  after(() => core.drop())

  const working = async (changes: Partial<WorkerOptions>, work: (wake: () => void) => Promise<void>) => {
    const worker = startWorker(core.options(changes))
    await work(() => worker.wake()).finally(() => worker.stop())
  }

  it('sends one statement a poll, and polls less and less often', async () => {
    const { store, statements } = counting(core.store)
    await working({ store, pollMs: 300 }, async () => {
      // Waits of 20, 30, 45 … 228, 300 milliseconds: about a second.
      await pause(1_500)
      statements.length = 0
      const started = monotonicClock.now()
      await pause(2_100)
      expect(statements.length).to.be.within(2, (monotonicClock.now() - started) / 300 + 1)
      expect(new Set(statements).size).to.equal(1)
    })
  })

  it('polls often again after it found something', async () => {
    const { store, statements } = counting(core.store)
    await working({ store, pollMs: 10_000 }, async () => {
      await pause(1_000)
      statements.length = 0
      await write(core, [{ id: 1, title: 'a' }])
      await waitFor(() => statements.some((each) => each.includes('dispatch')))
      statements.length = 0
      // Waits of 20, 30, 45, 68 … milliseconds; without a new beginning, each of them would be above 300.
      await pause(1_000)
      expect(statements.filter((each) => each.includes(' AS sweeps')).length).to.be.at.least(4)
    })
  })

  it('is woken by the commit of another process where it listens', async () => {
    const { store, statements } = counting(core.store)
    await working({ store, pollMs: 60_000, listen: true }, async () => {
      // Until the next poll of its own is a second away.
      for (let seen = -1; seen !== statements.length; await pause(1_000)) seen = statements.length
      const before = statements.length
      await write(core, [{ id: 2, title: 'b' }])
      const started = monotonicClock.now()
      createNotifier(core.store)()
      await waitFor(() => statements.length > before)
      expect(monotonicClock.now() - started).to.be.lessThan(500)
      await waitFor(async () => (await pendingRows(core)).length === 0)
    })
  })

  it('listens again when its connection is lost, and looks whether it missed something', async () => {
    const stop = new AbortController()
    let notices = 0
    const listening = listen({ store: core.store, clock: monotonicClock }, stop.signal, () => notices++)
    await waitFor(() => notices === 1)
    await core.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND query LIKE 'LISTEN %'`)
    await waitFor(() => notices === 2)
    createNotifier(core.store)()
    await waitFor(() => notices === 3)
    stop.abort()
    await listening
    expect(await core.sql(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'`))
      .to.eql([])
  })

  it('is notified once of many commits at the same moment', async () => {
    const { store, statements } = counting(core.store)
    const notify = createNotifier(store)
    for (let at = 0; at < 100; at++) notify()
    await waitFor(() => statements.length === 2)
    await pause(50)
    expect(statements.length).to.equal(2)
  })

  it('pauses longer and longer, never all processes alike', () => {
    const pauses = Array.from({ length: 50 }, () => pauseMs(3))
    expect(Math.min(...pauses)).to.be.at.least(400)
    expect(Math.max(...pauses)).to.be.at.most(800)
    expect(new Set(pauses).size).to.be.greaterThan(10)
    expect(pauseMs(50)).to.be.within(5_000, 10_000)
  })
})
