/**
 * How fast a version is populated, against the same documents sent ready-made.
 * @module
 */
import PQueue from 'p-queue'
import { fromElasticsearch } from '../../adapters/elasticsearch/client.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { elasticUmzug } from '../../src/index.ts'
import type { Documents, SearchClient } from '../../src/ports.ts'
import { sendBulk } from '../../src/search/bulk.ts'
import { median, seconds } from './figures.ts'
import type { World } from '../support/world.ts'
import type { Library } from './library.ts'

const rounds = 3
const bytes = 2_000_000
const concurrency = 2

/** Documents a second, both ways, alternating; the median of three. */
export async function benchPopulate(world: World, { config }: Library, print: (line: string) => void): Promise<void> {
  const plugin = elasticUmzug({ ...config, concurrency })
  const pages = await serialise(world, config)
  const documents = pages.reduce((sum, each) => sum + each.count, 0)
  const size = pages.reduce((sum, each) => sum + each.body.length, 0) / documents
  const rates = { ours: [] as number[], whole: [] as number[], ceiling: [] as number[] }
  for (let round = 0; round < rounds; round++) {
    rates.ceiling.push(documents / await sendReady(world, config.indexes![0]!, pages))
    const { pagesTook, tookWhole } = await populateOnce(plugin)
    rates.ours.push(documents / pagesTook)
    rates.whole.push(documents / tookWhole)
  }
  const [ours, whole, ceiling] = [median(rates.ours), median(rates.whole), median(rates.ceiling)]
  const show = (rate: number) => `${rate.toFixed(0)} documents/s`
  print(`populate: ${documents} documents of ${size.toFixed(0)} bytes, ${concurrency} at once, median of ${rounds}`)
  print(`  populate                    ${show(ours)}   ${(ours / ceiling).toFixed(2)} of the ceiling`)
  print(`  with count, check, refresh  ${show(whole)}   ${(whole / ceiling).toFixed(2)} of the ceiling`)
  print(`  ceiling (ready-made _bulk)  ${show(ceiling)}`)
  const all = (list: number[]) => list.map((each) => each.toFixed(0)).join(' ')
  print(`  rounds: populate ${all(rates.ours)}, ceiling ${all(rates.ceiling)}`)
}

async function populateOnce(plugin: ReturnType<typeof elasticUmzug>) {
  await plugin.versions.create(['books'], { force: true })
  const started = performance.now()
  let last = started
  const off = plugin.on('populate:page:complete', () => last = performance.now())
  await plugin.versions.update(['books'])
  off()
  return { pagesTook: seconds(last - started), tookWhole: seconds(performance.now() - started) }
}

type Definition = NonNullable<Library['config']['indexes']>[number]

async function serialise(world: World, config: Library['config']): Promise<Documents[]> {
  const db = fromSequelize(world.sequelize)
  const { source } = config.indexes![0]!
  const pages: Documents[] = []
  for (let after: string | null = null;;) {
    const page: Documents = await source.page(db, { after, upTo: null }, { rows: 5_000, bytes }, '1')
    if (page.last === null) return pages
    pages.push(page)
    after = page.last
  }
}

async function sendReady(world: World, { mappings }: Definition, pages: readonly Documents[]): Promise<number> {
  const index = `${world.prefix}ceiling`
  const alias = `${index}.write`
  const settings = { refresh_interval: '-1', number_of_replicas: 0, gc_deletes: '10m' }
  await world.client.indices.create({ index, mappings, settings, aliases: { [alias]: {} } })
  const search = fromElasticsearch(world.client as unknown as Parameters<typeof fromElasticsearch>[0])
  const queue = new PQueue({ concurrency })
  const started = performance.now()
  await Promise.all(pages.map((page) => queue.add(() => sendPage(search, alias, page.body))))
  const took = seconds(performance.now() - started)
  await world.client.indices.delete({ index })
  return took
}

async function sendPage(search: SearchClient, alias: string, body: string): Promise<void> {
  const outcome = await sendBulk(search, alias, body, 60_000)
  if (outcome.kind !== 'answered' || outcome.refusals.length > 0) {
    throw new Error(`Not written: ${JSON.stringify(outcome)}`)
  }
}
