/**
 * What a change costs that many documents show, against populating a version with the same.
 * @module
 */
import { elasticUmzug } from '../../src/index.ts'
import type { World } from '../support/world.ts'
import { seconds } from './figures.ts'
import type { Library } from './library.ts'
import { populateHere } from './populating.ts'
import { countWritten } from './rates.ts'

/** One author wrote all books and is renamed: the time until every book shows it. */
export async function benchFanout(world: World, library: Library, print: (line: string) => void): Promise<void> {
  const { sequelize } = world
  await sequelize.query('UPDATE books SET "authorId" = 1')
  await sequelize.query('VACUUM FULL ANALYZE books')
  const plugin = elasticUmzug(library.config)
  const { pagesTook, tookWhole } = await populateHere(plugin)
  await plugin.versions.activate(['books'])
  await plugin.start()
  const documents = await library.Book.count()
  const all = countWritten(plugin, documents)
  const first = countWritten(plugin, 1)
  const started = performance.now()
  await sequelize.models.Author!.update({ name: 'Another name' }, { where: { id: 1 } })
  const written = performance.now() - started
  const firstTook = await first - started
  const took = seconds(await all - started)
  await plugin.settled()
  await plugin.stop()
  print(`fan-out: one change of a row that ${documents} documents show`)
  print(`  the write itself                   ${written.toFixed(0)} ms`)
  print(`  until the first batch was written  ${firstTook.toFixed(0)} ms`)
  print(`  until all were written             ${took.toFixed(1)} s (${(documents / took).toFixed(0)} documents/s)`)
  print(`  populate of the same               ${pagesTook.toFixed(1)} s (${tookWhole.toFixed(1)} s until verified)`)
  print(`  ratio                              ${(took / pagesTook).toFixed(2)}`)
}
