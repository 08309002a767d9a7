/**
 * `npm run bench`, or one of it, as `npm run bench lag`: populate rate against its ceiling, verify and activation, lag under steady change, the
 * highest rate of a worker against its ceiling, a change that many documents show, what capture costs the writer, memory of a populate. Prints figures,
 * asserts none; `npm run bench capture raw` only those with this in their name. BENCH_ROWS (default 100,000) books; for rates BENCH_RATE_ROWS (50,000), for memory BENCH_MEMORY_ROWS (200,000).
 * @module
 */
import process from 'node:process'
import { elasticUmzug } from '../../src/index.ts'
import { startServers } from '../support/servers/servers.ts'
import { withStop } from '../support/servers/stop.ts'
import { createWorld, type World } from '../support/world.ts'
import { benchCapture } from './capture.ts'
import { benchFanout } from './fanout.ts'
import { knob } from './figures.ts'
import { benchLag } from './lag.ts'
import { defineLibrary, fillLibrary, type Library } from './library.ts'
import { benchPopulate, benchVerify, populateOnce } from './populate.ts'
import { benchQueue } from './queue.ts'
import { benchRates } from './rates.ts'
import { fillReviews } from './shapes.ts'

const rows = knob('BENCH_ROWS', 100_000, process.env)
const rateRows = knob('BENCH_RATE_ROWS', 50_000, process.env)
const memoryRows = knob('BENCH_MEMORY_ROWS', 200_000, process.env)
const queueRows = knob('BENCH_QUEUE_ROWS', 1_000_000, process.env)
const queueChurn = knob('BENCH_QUEUE_CHURN', 500_000, process.env)
const only = process.argv[2]
const print = (line: string) => void process.stdout.write(`${line}\n`)

await withStop(async () => {
  const servers = await startServers()
  process.env.DATABASE_URL = servers.databaseUrl
  process.env.ELASTICSEARCH_URL = servers.elasticsearchUrl
  try {
    await bench('populate', rows, ({ world }) => benchPopulate(world, rows, print))
    await bench('verify', rows, ({ world }) => benchVerify(world, rows, print))
    await bench('lag', rows, async ({ world, library }) => {
      await elasticUmzug(library.config).up()
      for (const worker of ['in the same process', 'in another process'] as const) {
        for (const perSecond of [100, 1_000]) await benchLag(world, { perSecond, seconds: 15, rows, worker }, print)
      }
    })
    await bench('rates', rateRows, ({ world, library }) => benchRates(world, library, print))
    await bench('fanout', rows, ({ world, library }) => benchFanout(world, library, print))
    await bench(
      'capture',
      1,
      ({ world: { databaseUrl } }) =>
        benchCapture({ databaseUrl, schema: 'elastic_umzug', print, only: process.argv[3] }),
    )
    await benchAlone('queue', (world) => benchQueue(world, { rows: queueRows, churn: queueChurn }, print))
    await bench('memory', memoryRows, ({ world }) => benchMemory(world))
    return 0
  } finally {
    await servers.stop()
  }
})

// On an empty database: it needs neither rows nor indexes.
async function benchAlone(name: string, work: (world: World) => Promise<void>): Promise<void> {
  if (only !== undefined && only !== name) return
  const world = await createWorld()
  await work(world).finally(() => world.drop())
}

async function bench(
  name: string,
  rows: number,
  work: (on: { world: World; library: Library }) => Promise<void>,
): Promise<void> {
  if (only !== undefined && only !== name) return
  const world = await createWorld()
  try {
    const library = defineLibrary(world.sequelize, world.client, world.prefix)
    await fillLibrary(world.sequelize, rows)
    await elasticUmzug(library.config).up({ search: false })
    await work({ world, library })
  } finally {
    await world.drop()
  }
}

async function benchMemory(world: World): Promise<void> {
  await fillReviews(world, 1)
  const { before, most, ms } = await populateOnce(world, 'author', 'postgresql')
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`
  print(`memory of populating ${memoryRows} rows, in a process of its own (${(ms / 1_000).toFixed(0)} s)`)
  print(`  ${mib(most - before)} above a baseline of ${mib(before)}`)
}
