/**
 * How fast a version is populated, against the same documents sent ready-made.
 * @module
 */
import { elasticUmzug } from '../../src/index.ts'
import type { Documents } from '../../src/ports.ts'
import type { World } from '../support/world.ts'
import { median, seconds } from './figures.ts'
import type { Library } from './library.ts'
import { countOf, sendPages, serialise } from './ready.ts'

const rounds = 3
const bytes = 2_000_000
const concurrency = 2

/** Documents a second, both ways, alternating; the median of three. */
export async function benchPopulate(world: World, { config }: Library, print: (line: string) => void): Promise<void> {
  const plugin = elasticUmzug({ ...config, concurrency })
  const pages = await serialise(world, config.indexes![0]!, { rows: 5_000, bytes })
  const documents = countOf(pages)
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

/** Populates a new version; seconds until every page was written, and until it was verified. */
export async function populateOnce(
  plugin: ReturnType<typeof elasticUmzug>,
): Promise<{ pagesTook: number; tookWhole: number }> {
  await plugin.versions.create(['books'], { force: true })
  const started = performance.now()
  let last = started
  const off = plugin.on('populate:page:complete', () => last = performance.now())
  await plugin.versions.update(['books'])
  off()
  return { pagesTook: seconds(last - started), tookWhole: seconds(performance.now() - started) }
}

type Definition = NonNullable<Library['config']['indexes']>[number]

async function sendReady(
  world: World,
  { mappings }: Definition,
  pages: readonly Documents[],
): Promise<{ sent: number; visible: number }> {
  const index = `${world.prefix}ceiling`
  const alias = `${index}.write`
  const settings = { refresh_interval: '-1', number_of_replicas: 0, gc_deletes: '10m' }
  await world.client.indices.create({ index, mappings, settings, aliases: { [alias]: {} } })
  const started = performance.now()
  const sent = await sendPages(world, alias, pages, concurrency)
  await world.client.indices.refresh({ index })
  const visible = seconds(performance.now() - started)
  await world.client.indices.delete({ index })
  return { sent, visible }
}
