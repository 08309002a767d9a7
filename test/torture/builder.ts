/**
 * Builds, activates and rolls back versions until SIGTERM. SEED. Prints a JSON object a line.
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { elasticUmzug } from '../../src/index.ts'
import config from '../fixtures/library/umzug.config.ts'
import { randomFrom } from '../fixtures/library/writes.ts'
import { pick } from './proxy.ts'

const { env } = process
const random = randomFrom(Number(env.SEED ?? 1))
const search = elasticUmzug(config)
const stop = new AbortController()
const options = { signal: stop.signal }
const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)
process.on('SIGTERM', () => stop.abort())

const steps = {
  async rebuild() {
    const names = [random() < 0.7 ? 'books' : 'editions']
    await again(() => search.versions.create(names, { ...options, force: true }))
    await again(() => search.versions.update(names, options))
    await again(() => search.versions.activate(names, options))
  },
  async rollBack() {
    const own = new Set(config.indexes!.map((each) => each.hash))
    const versions = (await search.versions.list()).filter(({ state, hash }) => state === 'retired' && own.has(hash))
    const chosen = versions[Math.floor(random() * versions.length)]
    if (chosen) await search.versions.activate([chosen.physical], options)
  },
  async up() {
    await search.up(options)
  },
}

while (!stop.signal.aborted) {
  const step = pick(random, [['rebuild', 6], ['rollBack', 2], ['up', 1]] as const)
  try {
    await steps[step]()
    print({ step })
  } catch (error) {
    print({ step, code: (error as { code?: string }).code, error: String((error as Error).message ?? error) })
    await sleep(200)
  }
}
process.exit(0)

// What was broken off goes on where it was.
async function again(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return void await work()
    } catch (error) {
      if (tries === 8 || stop.signal.aborted || /VERIFY_FAILED/.test((error as { code?: string }).code ?? '')) {
        throw error
      }
      await sleep(100 * tries)
    }
  }
}
