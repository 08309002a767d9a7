/**
 * Applications and workers killed at random. TORTURE_SEED and TORTURE_MS choose another run, say
 * `TORTURE_MS=600000 npm test -- test/cli/torture.test.ts`.
 */
import process from 'node:process'
import { expect } from 'chai'
import { randomFrom } from '../fixtures/library/writes.ts'
import { type App, createLibrary, type Library } from '../support/library.ts'
import { killTree, type Running, waitFor } from '../support/world.ts'

const seed = Number(process.env.TORTURE_SEED ?? Date.now() % 100_000)
const lengthMs = Number(process.env.TORTURE_MS ?? 15_000)

describe('torture', function () {
  this.timeout(lengthMs + 120_000)
  let library: Library

  before(async () => {
    library = await createLibrary({}, { LEASE_MS: 1_500, BATCH_SIZE: 20, PAUSE_MS: 1 })
    await library.done(['up'])
  })
  after(() => library.drop())

  it(`loses nothing with seed ${seed} in ${lengthMs / 1_000} s`, async () => {
    const random = randomFrom(seed)
    const until = Date.now() + lengthMs
    const slots = ['app', 'app', 'worker'] as const
    const totals = await Promise.all(slots.map((kind, slot) => live(kind, seed + slot * 1_000)))
    const writes = totals.reduce((sum, each) => sum + each.writes, 0)
    const kills = totals.reduce((sum, each) => sum + each.kills, 0)
    expect(writes, 'writes').to.be.greaterThan(50)
    expect(kills, 'kills').to.be.greaterThan(3)

    const last = library.start(['queue:work'])
    await library.drained(60_000)
    await killTree(last)
    const message = `seed ${seed}, ${writes} writes, ${kills} kills`
    expect(await library.differences('books', { rows: 'books' }), message).to.deep.equal([])
    expect(await library.differences('editions', { rows: 'editions' }), message).to.deep.equal([])

    // One process after another in a slot, each killed after a while.
    async function live(kind: (typeof slots)[number], firstSeed: number) {
      const total = { writes: 0, kills: 0 }
      while (Date.now() < until) {
        const child: Running = kind === 'worker'
          ? library.start(['queue:work'])
          : await library.app({ SEED: firstSeed++ })
        const endsAt = Math.min(until, Date.now() + 500 + random() * (kind === 'worker' ? 5_000 : 2_000))
        await waitFor(() => Date.now() >= endsAt, { timeoutMs: lengthMs })
        if (kind === 'app') total.writes += (child as App).report().writes
        await killTree(child)
        total.kills++
      }
      return total
    }
  })
})
