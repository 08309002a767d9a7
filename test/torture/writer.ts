/**
 * A process of the application: writes and works on the queue until SIGTERM. SIGUSR2 makes it stop writing, or go on.
 * SEED, ROWS, QUIET (starts without writing), RAW, LANES (writes at once), PAUSE_MS, HOT_WIDTH, HOT_MOVE_MS, COMINGS. Prints
 * a JSON object a line.
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { elasticUmzug } from '../../src/index.ts'
import config, { models, sequelize } from '../fixtures/library/umzug.config.ts'
import { randomFrom } from '../fixtures/library/writes.ts'
import { writeHot } from './writes.ts'

const { env } = process
const search = elasticUmzug(config)
const report = { writes: 0, failures: 0 }
const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)

let writing = 0
let stopping = false
let quiet = env.QUIET === '1'
process.on('SIGTERM', () => stopping = true)
process.on('SIGUSR2', () => quiet = !quiet)
search.on('queue:worker:error', ({ error }) => process.stderr.write(`worker: ${error}\n`))

// PostgreSQL may be away just now.
while (!stopping) {
  try {
    await search.start()
    break
  } catch (error) {
    process.stderr.write(`start: ${error}\n`)
    await sleep(100)
  }
}
setInterval(() => print({ state: quiet && writing === 0 ? 'quiet' : 'running', ...report }), 100).unref()

const scene = {
  sequelize,
  models,
  random: randomFrom(Number(env.SEED ?? 1)),
  keepUpTo: 0,
  rows: Number(env.ROWS ?? 60),
  raw: env.RAW === '1',
  hot: { width: Number(env.HOT_WIDTH ?? 6), moveMs: Number(env.HOT_MOVE_MS ?? 250) },
  comings: Number(env.COMINGS ?? 0),
}
await Promise.all(Array.from({ length: Number(env.LANES ?? 2) }, write))
await search.stop()
process.exit(0)

async function write(): Promise<void> {
  while (!stopping) {
    if (!quiet) await writeOne()
    await sleep(quiet ? 20 : Number(env.PAUSE_MS ?? 5))
  }
}

async function writeOne(): Promise<void> {
  writing++
  try {
    await writeHot(scene)
    report.writes++
  } catch (error) {
    report.failures++
    process.stderr.write(`write: ${error}\n`)
    await sleep(20)
  } finally {
    writing--
  }
}
