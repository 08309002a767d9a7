/**
 * Applications and workers killed at random. TORTURE_SEED and TORTURE_MS choose another run, say
 * `TORTURE_MS=600000 npm test -- test/cli/torture.test.ts`.
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { randomFrom } from '../fixtures/library/writes.ts'
import { createLibrary, type Library } from '../support/library.ts'
import { killTree } from '../support/world.ts'

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
    const total = { writes: 0, kills: 0 }
    // On a slow machine it goes on until there was something to lose.
    const goesOn = () => Date.now() < until || total.writes < 100 || total.kills < 6
    await Promise.all([apps(seed), apps(seed + 1_000), workers()])

    const last = library.start(['queue:work'])
    await library.drained(60_000)
    await killTree(last)
    const message = `seed ${seed}, ${total.writes} writes, ${total.kills} kills`
    expect(await library.differences('books', { rows: 'books' }), message).to.deep.equal([])
    expect(await library.differences('editions', { rows: 'editions' }), message).to.deep.equal([])

    // One process after another, each killed after a while.
    async function apps(firstSeed: number) {
      for (let next = firstSeed; goesOn(); next++) {
        const app = await library.app({ SEED: next })
        await sleep(200 + random() * 2_000)
        await killTree(app)
        total.writes += app.report().writes
        total.kills++
      }
    }

    async function workers() {
      while (goesOn()) {
        const worker = library.start(['queue:work'])
        await sleep(500 + random() * 5_000)
        await killTree(worker)
        total.kills++
      }
    }
  })
})
