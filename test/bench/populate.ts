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
  const rates = { ours: [] as number[], whole: [] as number[], ceiling: [] as number[], visible: [] as number[] }
  for (let round = 0; round < rounds; round++) {
    const { sent, visible } = await sendReady(world, config.indexes![0]!, pages)
    rates.ceiling.push(documents / sent)
    rates.visible.push(documents / visible)
    const { pagesTook, tookWhole } = await populateOnce(plugin)
    rates.ours.push(documents / pagesTook)
    rates.whole.push(documents / tookWhole)
  }
  const show = (rates: number[]) =>
    `${median(rates).toFixed(0)} documents/s (${rates.map((each) => each.toFixed(0)).join(', ')})`
  // Of each round by itself: what else the machine does changes from minute to minute.
  const share = (ours: number[], ceiling: number[]) => median(ours.map((each, at) => each / ceiling[at]!)).toFixed(2)
  print(`populate: ${documents} documents of ${size.toFixed(0)} bytes, ${concurrency} at once, median of ${rounds}`)
  print(`  populate, all pages written      ${show(rates.ours)}`)
  print(`  the same documents, ready-made   ${show(rates.ceiling)}`)
  print(`  ratio                            ${share(rates.ours, rates.ceiling)}`)
  print(`  es:update as a whole, verified   ${show(rates.whole)}`)
  print(`  ready-made, then one refresh     ${show(rates.visible)}`)
  print(`  ratio                            ${share(rates.whole, rates.visible)}`)
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

async function sendReady(
  world: World,
  { mappings }: Definition,
  pages: readonly Documents[],
): Promise<{ sent: number; visible: number }> {
  const index = `${world.prefix}ceiling`
  const alias = `${index}.write`
  const settings = { refresh_interval: '-1', number_of_replicas: 0, gc_deletes: '10m' }
  await world.client.indices.create({ index, mappings, settings, aliases: { [alias]: {} } })
  const search = fromElasticsearch(world.client as unknown as Parameters<typeof fromElasticsearch>[0])
  const queue = new PQueue({ concurrency })
  const started = performance.now()
  await Promise.all(pages.map((page) => queue.add(() => sendPage(search, alias, page.body))))
  const sent = seconds(performance.now() - started)
  await world.client.indices.refresh({ index })
  const visible = seconds(performance.now() - started)
  await world.client.indices.delete({ index })
  return { sent, visible }
}

async function sendPage(search: SearchClient, alias: string, body: string): Promise<void> {
  const outcome = await sendBulk(search, alias, body, 60_000)
  if (outcome.kind !== 'answered' || outcome.refusals.length > 0) {
    throw new Error(`Not written: ${JSON.stringify(outcome)}`)
  }
}
