/**
 * How fast a version is populated, against the same documents sent ready-made.
 * @module
 */
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { elasticUmzug } from '../../src/index.ts'
import type { Documents } from '../../src/ports.ts'
import { spawnCli, type World } from '../support/world.ts'
import { between, type CpuMeter, type CpuSeconds, startMeter } from './cpu.ts'
import { knob, median, seconds } from './figures.ts'
import { countOf, sendPages, serialise } from './ready.ts'
import { defineShape, fillReviews, type Maker, type Shape, shapes } from './shapes.ts'

const rounds = knob('BENCH_ROUNDS', 3, process.env)
/** As large as a body gains something, two at a time. */
const bytes = 5_000_000
const concurrency = 2
/** Documents that are made ready beforehand: they stay in memory. */
const mostReady = 100_000

/** What one populate, in a process of its own, took. */
export interface Populated {
  /** Milliseconds until it was verified, and until the last page was written. */
  ms: number
  pagesMs: number
  rows: number
  pages: number
  cpu: CpuSeconds
  /** Bytes of memory before, and the most. */
  before: number
  most: number
}

/** Populates a new version in a process of its own. */
export async function populateOnce(world: World, shape: Shape, maker: Maker): Promise<Populated> {
  const { databaseUrl, elasticsearchUrl, prefix } = world
  const { code, stdout, stderr } = await spawnCli([], {
    program: fileURLToPath(new URL('memory.ts', import.meta.url)),
    env: {
      DATABASE_URL: databaseUrl,
      ELASTICSEARCH_URL: elasticsearchUrl,
      PREFIX: prefix,
      SHAPE: shape,
      MAKER: maker,
      CONCURRENCY: String(knob('BENCH_CONCURRENCY', concurrency, process.env)),
    },
  })
  if (code !== 0) throw new Error(`The populating process failed: ${stderr}`)
  return JSON.parse(stdout)
}

/**
 * For each shape, and for both ways of making documents: documents a second against the ceiling, alternating, and CPU
 * seconds. BENCH_SHAPES and BENCH_MAKERS choose some.
 */
export async function benchPopulate(world: World, rows: number, print: (line: string) => void): Promise<void> {
  await fillReviews(world, rows)
  const meter = await startMeter(world.sequelize, world.client)
  print(
    `populate: ${rows} rows, ${concurrency} requests at once, median of ${rounds}; CPU seconds per 100,000 documents`,
  )
  print(
    '                          documents/s    of ceiling  verified  own CPU  PostgreSQL  Elasticsearch  most memory',
  )
  for (const shape of chosen('BENCH_SHAPES', shapes)) {
    const config = defineShape(world, shape, 'postgresql')
    const pages = await serialise(world, config.indexes![0]!, { rows: 8_000, bytes }, { most: mostReady })
    for (const maker of chosen('BENCH_MAKERS', ['postgresql', 'sequelize'] as const)) {
      const ready: Sent[] = []
      const ours: Populated[] = []
      for (let round = 0; round < rounds; round++) {
        ready.push(await sendReady(world, config.indexes![0]!, pages, meter))
        ours.push(await populateOnce(world, shape, maker))
      }
      show(`${shape} by ${maker}`, ready, ours, print)
    }
  }
  meter.stop()
}

/** Time of an activation, and documents a second that are compared with their rows. */
export async function benchVerify(world: World, rows: number, print: (line: string) => void): Promise<void> {
  await fillReviews(world, 1)
  const plugin = elasticUmzug(defineShape(world, 'author', 'postgresql'))
  await plugin.versions.create(['books'])
  await plugin.versions.update(['books'])
  const [activated, verified] = [
    await timed(() => plugin.versions.activate(['books'])),
    await timed(() => plugin.versions.verify(['books'])),
  ]
  print(`verify: ${rows} documents, each compared with its row`)
  print(`  es:activate              ${(activated * 1_000).toFixed(0)} ms`)
  print(`  es:verify                ${(rows / verified).toFixed(0)} documents/s`)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return seconds(performance.now() - started)
}

function show(name: string, ready: Sent[], ours: Populated[], print: (line: string) => void): void {
  const rate = (each: Populated) => each.rows / seconds(each.pagesMs)
  const per = (each: { rows: number; cpu: CpuSeconds }, who: keyof CpuSeconds) => each.cpu[who] * 100_000 / each.rows
  const cell = (value: number, width: number, digits = 2) => value.toFixed(digits).padStart(width)
  print(
    `  ready-made ${name.split(' ')[0]!.padEnd(11)}` + cell(median(ready.map((each) => each.rate)), 13, 0) +
      '          1.00          ' + cell(median(ready.map((each) => per(each, 'own'))), 9) + '           -' +
      cell(median(ready.map((each) => per(each, 'search'))), 15),
  )
  print(
    `  ${name.padEnd(22)}` + cell(median(ours.map(rate)), 13, 0) +
      // Of each round by itself: what else the machine does changes from minute to minute.
      cell(median(ours.map((each, at) => rate(each) / ready[at]!.rate)), 14) +
      cell(median(ours.map((each) => each.rows / seconds(each.ms))), 10, 0) +
      cell(median(ours.map((each) => per(each, 'own'))), 9) +
      cell(median(ours.map((each) => per(each, 'backends'))), 12) +
      cell(median(ours.map((each) => per(each, 'search'))), 15) +
      `${cell(Math.max(...ours.map((each) => each.most)) / 2 ** 20, 9, 0)} MiB`,
  )
}

function chosen<T extends string>(name: string, all: readonly T[]): readonly T[] {
  const given = process.env[name]?.split(',')
  return given ? all.filter((each) => given.includes(each)) : all
}

interface Sent {
  rate: number
  rows: number
  cpu: CpuSeconds
}

type Definition = Parameters<typeof serialise>[1]

async function sendReady(
  world: World,
  { mappings }: Definition,
  pages: readonly Documents[],
  meter: CpuMeter,
): Promise<Sent> {
  const index = `${world.prefix}ceiling`
  const alias = `${index}.write`
  const settings = {
    refresh_interval: '-1',
    number_of_replicas: 0,
    gc_deletes: '10m',
    translog: { durability: 'async' as const },
  }
  await world.client.indices.create({ index, mappings, settings, aliases: { [alias]: {} } })
  const before = meter.look()
  const took = await sendPages(world, alias, pages, concurrency)
  const cpu = between(before, meter.look())
  await world.client.indices.delete({ index })
  const rows = countOf(pages)
  return { rate: rows / took, rows, cpu }
}
