/**
 * Builds, activates and rolls back versions until SIGTERM; at SIGUSR2 it ends with the step under way. SEED. Prints a JSON object a line.
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
let last = false
process.on('SIGTERM', () => stop.abort())
process.on('SIGUSR2', () => last = true)

const steps = {
  async rebuild() {
    const names = [random() < 0.85 ? 'books' : 'editions']
    await again(() => search.versions.create(names, { ...options, force: true }))
    await again(() => search.versions.update(names, options))
    if (random() < 0.5) await again(() => search.versions.activate(names, options))
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

while (!stop.signal.aborted && !last) {
  const step = pick(random, [['rebuild', 6], ['rollBack', 2], ['up', 1]] as const)
  const began = Date.now()
  try {
    await steps[step]()
    print({ step, ms: Date.now() - began })
  } catch (error) {
    print({
      step,
      ms: Date.now() - began,
      code: (error as { code?: string }).code,
      error: String((error as Error).message ?? error),
    })
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
