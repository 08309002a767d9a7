/**
 * `npm run servers`: keeps both servers up until Ctrl-C, and prints their URLs as lines for a shell.
 * @module
 */
import process from 'node:process'
import { startServers } from './servers.ts'
import { withStop } from './stop.ts'

await withStop(async (stopped) => {
  const servers = await startServers()
  try {
    process.stdout.write(`export DATABASE_URL=${servers.databaseUrl}\n`)
    process.stdout.write(`export ELASTICSEARCH_URL=${servers.elasticsearchUrl}\n`)
    process.stderr.write('Both run until Ctrl-C.\n')
    await stopped
    return 0
  } finally {
    await servers.stop()
  }
})
