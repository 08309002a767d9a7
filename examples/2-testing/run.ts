/**
 * Runs the suites, each by its own runner, one after the other in a database of their own: `npm run example:testing` or
 * `npm run example:testing:deno`.
 * @module
 */
import { execFile } from 'node:child_process'
import process from 'node:process'
import { promisify } from 'node:util'
import { startServers } from '../../test/support/servers/servers.ts'
import { withStop } from '../../test/support/servers/stop.ts'
import { createWorld } from '../../test/support/world.ts'

const execute = promisify(execFile)
const folder = 'examples/2-testing'
const node = ['--no-warnings', '--import', './register.mjs']

const runners: Record<string, string[]> = 'Deno' in globalThis
  ? { 'Deno.test': ['test', '-A', '--no-lock', '--no-check', `${folder}/suites/deno.js`] }
  : {
    'mocha': [...node, 'node_modules/mocha/bin/mocha.js', '--no-config', '--exit', `${folder}/suites/mocha.ts`],
    'node:test': [...node, '--test', `${folder}/suites/node.ts`],
    'jest and vitest (their globals only)': [...node, `${folder}/globals.ts`, `${folder}/suites/jest.js`],
  }

await withStop(async () => {
  const servers = await startServers()
  process.env.DATABASE_URL = servers.databaseUrl
  process.env.ELASTICSEARCH_URL = servers.elasticsearchUrl
  const world = await createWorld()
  try {
    process.env.DATABASE_URL = world.databaseUrl
    const codes: number[] = []
    for (const [name, args] of Object.entries(runners)) codes.push(await runOne(name, args))
    return Math.max(...codes)
  } finally {
    await world.drop()
    await servers.stop()
  }
})

async function runOne(name: string, args: readonly string[]): Promise<number> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const ended = await execute(process.execPath, args, { env }).then(
    ({ stdout }) => ({ code: 0, printed: stdout }),
    ({ code, stdout, stderr }) => ({ code: Number(code) || 1, printed: `${stdout}${stderr}` }),
  )
  console.log(`${name}: ${ended.code === 0 ? 'passed' : 'failed'}\n${ended.printed}`)
  return ended.code
}
