/**
 * A populate in the process of a bench.
 * @module
 */
import type { ElasticUmzug } from '../../src/index.ts'
import { seconds } from './figures.ts'

/** Populates a new version; seconds until every page was written, and until it was verified. */
export async function populateHere(plugin: ElasticUmzug): Promise<{ pagesTook: number; tookWhole: number }> {
  await plugin.versions.create(['books'], { force: true })
  const started = performance.now()
  let last = started
  const off = plugin.on('populate:page:complete', () => last = performance.now())
  await plugin.versions.update(['books'])
  off()
  return { pagesTook: seconds(last - started), tookWhole: seconds(performance.now() - started) }
}
