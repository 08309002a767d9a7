/**
 * A process that populates one version and tells what that took: time, CPU seconds, memory. Started by the benches.
 * @module
 */
import process from 'node:process'
import { Client } from '@elastic/elasticsearch'
import { Sequelize } from 'sequelize'
import { elasticUmzug } from '../../src/index.ts'
import { between, startMeter } from './cpu.ts'
import { defineShape, type Maker, type Shape } from './shapes.ts'

const { DATABASE_URL, ELASTICSEARCH_URL, PREFIX = '', SHAPE = 'author', MAKER = 'postgresql' } = process.env
const sequelize = new Sequelize(DATABASE_URL!, { logging: false, pool: { max: 8, idle: 600_000 } })
const client = new Client({ node: ELASTICSEARCH_URL! })
const config = defineShape({ sequelize, client, prefix: PREFIX }, SHAPE as Shape, MAKER as Maker)
const plugin = elasticUmzug({ ...config, concurrency: Number(process.env.CONCURRENCY ?? 2) })
await plugin.versions.create(['books'], { force: true })

const before = process.memoryUsage().rss
let most = before
const timer = setInterval(() => most = Math.max(most, process.memoryUsage().rss), 20)
const meter = await startMeter(sequelize, client)
let used = meter.look()
let atLast = used
let started = performance.now()
let last = started
let pages = 0
plugin.on('populate:page:complete', () => {
  last = performance.now()
  atLast = meter.look()
  pages++
})
// The first version that reads a table waits for its writers before: that is no matter of speed.
const onLine = (line: string) => {
  if (!line.includes(': populating')) return
  started = performance.now()
  used = meter.look()
}
const [version] = await plugin.versions.update(['books'], { onLine })
const ms = performance.now() - started
clearInterval(timer)
meter.stop()
const cpu = between(used, atLast)
const told = { before, most, ms, pagesMs: last - started, pages, cpu, rows: version?.rowsExpected }
process.stdout.write(`${JSON.stringify(told)}\n`)
await sequelize.close()
await client.close()
