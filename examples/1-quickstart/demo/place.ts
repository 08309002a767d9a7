/**
 * Where the demo runs: a database and an index prefix of its own, on given servers or on ones started for it.
 * @module
 */
import process from 'node:process'
import { startServers } from '../../../test/support/servers/servers.ts'
import { createWorld } from '../../../test/support/world.ts'

/** The place; nothing outside it is touched. */
export interface Place {
  /** Put before the names of its indexes. */
  readonly prefix: string
  /** Removes the database, the indexes, and the servers that were started. */
  close(): Promise<void>
}

/** Makes the place and names it in the environment, where the application looks for it. */
export async function openPlace(): Promise<Place> {
  const servers = await startServers()
  const world = await createWorld(servers)
  process.env.DATABASE_URL = world.databaseUrl
  process.env.ELASTICSEARCH_URL = world.elasticsearchUrl
  process.env.SEARCH_PREFIX = world.prefix
  return {
    prefix: world.prefix,
    async close() {
      await world.drop()
      await servers.stop()
    },
  }
}
