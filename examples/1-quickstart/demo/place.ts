/**
 * Where the demo runs: a database and an index prefix of its own, on given servers or on ones started for it.
 * @module
 */
import process from 'node:process'
import { Client } from '@elastic/elasticsearch'
import { Sequelize } from 'sequelize'
import { startServers } from '../../../test/support/servers/servers.ts'

/** The place; nothing outside it is touched. */
export interface Place {
  /** Removes the database, the indexes, and the servers that were started. */
  close(): Promise<void>
}

/** Makes the place and names it in the environment, where the application looks for it. */
export async function openPlace(): Promise<Place> {
  const servers = await startServers()
  const name = `demo_${Date.now().toString(36)}`
  await administer(servers.databaseUrl, `CREATE DATABASE ${name}`)
  const database = new URL(servers.databaseUrl)
  database.pathname = name
  process.env.DATABASE_URL = database.href
  process.env.ELASTICSEARCH_URL = servers.elasticsearchUrl
  process.env.SEARCH_PREFIX = `${name}_`
  return {
    async close() {
      await administer(servers.databaseUrl, `DROP DATABASE ${name} WITH (FORCE)`)
      await deleteIndexes(servers.elasticsearchUrl, `${name}_*`)
      await servers.stop()
    },
  }
}

async function administer(url: string, sql: string): Promise<void> {
  const sequelize = new Sequelize(url, { dialect: 'postgres', logging: false })
  await sequelize.query(sql)
  await sequelize.close()
}

async function deleteIndexes(node: string, pattern: string): Promise<void> {
  const client = new Client({ node })
  const indexes = Object.keys(await client.indices.get({ index: pattern }))
  if (indexes.length > 0) await client.indices.delete({ index: indexes })
  await client.close()
}
