import { expect } from 'chai'
import type { Db } from '../../src/ports.ts'
import { createRegard } from '../../src/search/replicas.ts'
import { openStore } from '../../src/store/store.ts'

describe('regard for replicas', () => {
  it('waits a moment a page while one lags, looks every five seconds, and tells once', async () => {
    let lag = 0
    let looks = 0
    let now = 0
    const waits: number[] = []
    const told: number[] = []
    const db = { query: () => (looks++, Promise.resolve([{ lag }])) } as unknown as Db
    const clock = { now: () => now, sleep: (ms: number) => Promise.resolve(void waits.push(ms)) }
    const regard = createRegard({ store: openStore(db, 'own'), clock }, (lagMs) => void told.push(lagMs))
    await regard()
    await regard()
    expect([looks, waits.length]).to.eql([1, 0])
    lag = 20_000
    now = 5_000
    await regard()
    await regard()
    now = 10_000
    await regard()
    expect([looks, waits, told]).to.eql([3, [1_000, 1_000, 1_000], [20_000]])
    lag = 0
    now = 15_000
    await regard()
    expect(waits).to.have.length(3)
  })
})
