/**
 * The highest rate that one worker sustains, against the same documents sent ready-made.
 * @module
 */
import type { Sequelize } from 'sequelize'
import { elasticUmzug } from '../../src/index.ts'
import type { World } from '../support/world.ts'
import { median, seconds } from './figures.ts'
import type { Library } from './library.ts'
import { countOf, sendPages, serialise } from './ready.ts'

const rounds = 3
const concurrency = 2
const batchSize = 500

/**
 * All books change, recorded as rows of up to 1,000 keys (a bulk statement) or of one (single writes), and one worker takes
 * it from the change to the document; in between the same documents are written ready-made. Median of three rounds.
 */
export async function benchRates(world: World, { config }: Library, print: (line: string) => void): Promise<void> {
  await elasticUmzug(config).up()
  const index = `${world.prefix}books-1`
  const definition = config.indexes![0]!
  const rates = { ceiling: [] as number[], bulk: [] as number[], single: [] as number[] }
  let documents = 0
  for (let round = 0; round < rounds; round++) {
    // A number behind every one drawn so far, and below the next: over documents that are there, as a worker writes them.
    const number = `${Date.now() * 1_000}`
    const pages = await serialise(world, definition, { rows: batchSize, bytes: 5_000_000 }, { version: number })
    documents = countOf(pages)
    rates.ceiling.push(documents / await sendPages(world, `${index}.write`, pages, concurrency))
    for (const [name, keys] of [['bulk', 1_000], ['single', 1]] as const) {
      await record(world.sequelize, keys)
      rates[name].push(documents / await workOff(config, documents))
    }
  }
  const show = (name: keyof typeof rates) =>
    `${median(rates[name]).toFixed(0)} documents/s (${rates[name].map((each) => each.toFixed(0)).join(', ')})`
  const share = (name: keyof typeof rates) =>
    median(rates[name].map((each, at) => each / rates.ceiling[at]!)).toFixed(2)
  print(`rates: ${documents} documents, one worker, ${concurrency} requests at once, median of ${rounds}`)
  print(`  the same documents, ready-made     ${show('ceiling')}`)
  print(`  worker, changes of 1,000 keys      ${show('bulk')}   ratio ${share('bulk')}`)
  print(`  worker, changes of one key         ${show('single')}   ratio ${share('single')}`)
}

// Seconds until so many documents are written.
async function workOff(config: Library['config'], documents: number): Promise<number> {
  const plugin = elasticUmzug({ ...config, concurrency, batchSize })
  const written = countWritten(plugin, documents)
  const started = performance.now()
  await plugin.start()
  const took = seconds(await written - started)
  await plugin.settled()
  await plugin.stop()
  return took
}

/** When so many documents have been written, on the clock of `performance`: asking for it would cost what is measured. */
export function countWritten(plugin: ReturnType<typeof elasticUmzug>, documents: number): Promise<number> {
  let left = documents
  return new Promise((resolve) => {
    plugin.on('queue:batch:complete', (event) => {
      if ((left -= event.documents) <= 0) resolve(performance.now())
    })
  })
}

async function record(sequelize: Sequelize, keysPerChange: number): Promise<void> {
  await sequelize.query(
    `INSERT INTO elastic_umzug.changes (table_name, rows, columns)
     SELECT 'public.books', jsonb_agg(jsonb_build_object('id', id::text, 'authorId', "authorId"::text)), '{edition}'
     FROM (SELECT id, "authorId", (row_number() OVER (ORDER BY id) - 1) / ${keysPerChange} AS part FROM books) b
     GROUP BY part ORDER BY part`,
  )
  await sequelize.query('ANALYZE elastic_umzug.changes')
}
