/**
 * The application's Sequelize instance as the core's database.
 * @module
 */
import type { Sequelize } from 'sequelize'
import { ElasticUmzugError } from '../../src/errors.ts'
import type { Connection, Db, Queryable } from '../../src/ports.ts'
import { type PgClientLike, queryClient, wrapClient } from '../postgres/connection.ts'

/** The members of Sequelize's connection manager that are used. */
interface ConnectionManagerLike {
  getConnection(options: object): Promise<PgClientLike>
  releaseConnection(connection: PgClientLike): unknown
  _connect(config: object): Promise<PgClientLike>
  pool?: { destroy?(connection: PgClientLike): unknown }
}

/**
 * Queries on pool connections of the instance, always on the primary, without its logging, hooks, parsers and CLS.
 * Connections of their own are opened the way the instance opens its own (its `beforeConnect` hooks included).
 */
export function fromSequelize(sequelize: Sequelize): Db {
  const manager = (sequelize as unknown as { connectionManager: ConnectionManagerLike }).connectionManager
  const label = labelOf(sequelize)
  const withClient = async <T>(work: (client: PgClientLike) => Promise<T>): Promise<T> => {
    const client = await manager.getConnection({ type: 'write', useMaster: true }).catch((error) =>
      refuse(error, label)
    )
    try {
      return await work(client)
    } finally {
      await manager.releaseConnection(client)
    }
  }
  return {
    label,
    query: (sql, values) => withClient((client) => queryClient(client, sql, values)),
    transaction: (work) => withClient((client) => inTransaction(client, work)),
    connect: () => connect(manager, writeConfig(sequelize), label),
  }
}

async function inTransaction<T>(client: PgClientLike, work: (tx: Queryable) => Promise<T>): Promise<T> {
  const tx: Queryable = { query: (sql, values) => queryClient(client, sql, values) }
  await tx.query('BEGIN ISOLATION LEVEL READ COMMITTED')
  try {
    const result = await work(tx)
    await tx.query('COMMIT')
    return result
  } catch (error) {
    // A connection that cannot roll back is broken; the pool finds that out before it lends it again.
    await tx.query('ROLLBACK').catch(() => {})
    throw error
  }
}

async function connect(manager: ConnectionManagerLike, config: object, label: string): Promise<Connection> {
  const client = await manager._connect(config).catch((error) => refuse(error, label))
  return wrapClient(client)
}

function writeConfig(sequelize: Sequelize): object {
  const { config, options } = sequelize as unknown as {
    config: object
    options: { replication?: { write?: object } | false }
  }
  return (options.replication && options.replication.write) ? { ...config, ...options.replication.write } : config
}

function labelOf(sequelize: Sequelize): string {
  const { host, port, database } = writeConfig(sequelize) as {
    host?: string
    port?: string | number
    database?: string
  }
  return `${host ?? 'localhost'}:${port ?? 5432}/${database ?? ''}`
}

// Password, user or address, database, privilege to connect.
const refusals = new Set(['28P01', '28000', '3D000', '42501'])

function refuse(error: unknown, label: string): never {
  const { name = '', message = String(error), parent } = error as Error & { parent?: { code?: string } }
  const code = parent?.code
  if (name === 'SequelizeAccessDeniedError' || refusals.has(code ?? '')) {
    throw new ElasticUmzugError('DATABASE_REFUSED', `PostgreSQL at ${label} refused the login: ${message}`, {
      next: 'check user, password and database name of the Sequelize instance in the config file',
      cause: error,
    })
  }
  if (name.startsWith('SequelizeConnection') || name.startsWith('SequelizeHost')) {
    throw new ElasticUmzugError('DATABASE_UNREACHABLE', `PostgreSQL at ${label} does not answer: ${message}`, {
      next: 'check host and port of the Sequelize instance in the config file, and that the server runs',
      cause: error,
    })
  }
  throw error
}
