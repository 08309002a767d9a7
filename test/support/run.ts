/**
 * `npm test` and `npm run test:deno`: starts the servers, runs the specs (or those named) in this runtime, stops the servers.
 * Options: `--grep TEXT`, `--bail`.
 * @module
 */
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import glob from 'fast-glob'
import Mocha from 'mocha'
import { startServers } from './servers/servers.ts'
import { withStop } from './servers/stop.ts'

const everything = 'test/{unit,contract,integration,cli,types}/**/*.test.ts'

await withStop(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { grep: { type: 'string' }, bail: { type: 'boolean' } },
  })
  const files = await glob(positionals.length > 0 ? positionals : everything)
  if (files.length === 0) throw new Error(`There is no spec ${positionals.join(' ')}`)
  const servers = await startServers()
  try {
    process.env.DATABASE_URL = servers.databaseUrl
    process.env.ELASTICSEARCH_URL = servers.elasticsearchUrl
    return await runSpecs(files.sort(), values)
  } finally {
    await servers.stop()
  }
})

async function runSpecs(files: string[], { grep, bail }: { grep?: string; bail?: boolean }): Promise<number> {
  const mocha = new Mocha({ timeout: 60_000, bail: bail ?? false, forbidOnly: Boolean(process.env.CI) })
  if (grep !== undefined) mocha.grep(grep)
  for (const file of files) await load(mocha, file)
  const stats = await new Promise<Mocha.Stats>((resolve) => {
    const runner = mocha.run(() => resolve(runner.stats as Mocha.Stats))
  })
  const skipped = stats.pending > 0 ? `, ${stats.pending} skipped` : ''
  process.stdout.write(`${stats.passes} passed, ${stats.failures} failed${skipped}\n`)
  return stats.failures > 0 || stats.passes === 0 ? 1 : 0
}

// As mocha's own loading, but by `import` alone: Mocha tries `require` first, and then shows that one's error.
// A file that cannot be loaded is one failed spec; the others still run.
async function load(mocha: Mocha, file: string): Promise<void> {
  const { suite } = mocha
  suite.emit('pre-require', globalThis, file, mocha)
  try {
    suite.emit('require', await import(pathToFileURL(file).href), file, mocha)
  } catch (error) {
    suite.addTest(new Mocha.Test(`${file} is loaded`, () => Promise.reject(error)))
  }
  suite.emit('post-require', globalThis, file, mocha)
}
