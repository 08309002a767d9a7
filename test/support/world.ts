/**
 * What a spec works in: a database and an index prefix of its own on the real servers, and small helpers.
 * @module
 */
import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { Client } from '@elastic/elasticsearch'
import pg from 'pg'
import { Sequelize } from 'sequelize'
import { beforeEnd } from './servers/keeper.ts'

export { killTree, type Running, spawnCli, startCli } from './cli.ts'
export { temporaryApp } from './app.ts'
export { waitFor } from './wait.ts'
export { type Server, startOwn, whyNoOwn } from './servers/servers.ts'

/** A database and an index prefix of one's own. */
export interface World {
  /** URL of the database. */
  readonly databaseUrl: string
  /** URL of the cluster. */
  readonly elasticsearchUrl: string
  /** For `prefix` of the config: every index, alias and template made with it is removed by `drop`. */
  readonly prefix: string
  readonly sequelize: Sequelize
  readonly client: Client
  /** Closes both connections, and removes the database and everything under the prefix. */
  drop(): Promise<void>
}

/** Servers to use instead of those of the environment. */
export interface WorldServers {
  databaseUrl?: string
  elasticsearchUrl?: string
}

/** Makes a fresh database and a prefix. Throws when `DATABASE_URL` or `ELASTICSEARCH_URL` is missing. */
export async function createWorld(servers: WorldServers = {}): Promise<World> {
  const serverUrl = servers.databaseUrl ?? given('DATABASE_URL')
  const elasticsearchUrl = servers.elasticsearchUrl ?? given('ELASTICSEARCH_URL')
  const name = `w${randomBytes(6).toString('hex')}`
  await onServer(serverUrl, `CREATE DATABASE "${name}"`)
  const databaseUrl = withDatabase(serverUrl, name)
  const sequelize = new Sequelize(databaseUrl, { logging: false })
  const client = new Client({ node: elasticsearchUrl })
  const prefix = `${name}_`
  const drop = async () => {
    forget()
    await sequelize.close()
    await removeIndexes(client, prefix).finally(() => client.close())
    await onServer(serverUrl, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`)
  }
  // For a run that is interrupted, or a spec that failed before it could drop it.
  const forget = beforeEnd(drop)
  return {
    databaseUrl,
    elasticsearchUrl,
    prefix,
    sequelize,
    client,
    drop,
  }
}

function given(variable: string): string {
  const value = process.env[variable]
  if (!value) throw new Error(`${variable} is not set: run the specs by npm test, or start npm run servers and set it`)
  return value
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}

async function onServer(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(sql).finally(() => client.end())
}

async function removeIndexes(client: Client, prefix: string): Promise<void> {
  const found = await client.indices.get({ index: `${prefix}*`, expand_wildcards: 'all', features: ['aliases'] })
  const names = Object.keys(found)
  if (names.length > 0) await client.indices.delete({ index: names, ignore_unavailable: true })
  await client.indices.deleteIndexTemplate({ name: `elastic-umzug-${prefix}*` }, { ignore: [404] })
}
