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
  pool: { destroy(connection: PgClientLike): unknown }
}

/**
 * Queries on pool connections of the instance, always on the primary, without its logging, hooks, parsers and CLS.
 * Connections of their own are opened the way the instance opens its own (its `beforeConnect` hooks included).
 */
export function fromSequelize(sequelize: Sequelize): Db {
  const manager = (sequelize as unknown as { connectionManager: ConnectionManagerLike }).connectionManager
  const label = labelOf(sequelize)
  const borrow = borrowing(manager, label)
  let isReadCommitted: boolean | undefined
  const query: Queryable['query'] = (sql, values) =>
    borrow(async (client, spoil) => {
      isReadCommitted ??= await defaultsToReadCommitted(client)
      if (isReadCommitted) return await queryClient(client, sql, values)
      // In a stricter transaction it would fail wherever another changed the same rows meanwhile.
      return await inTransaction(client, spoil, (tx) => tx.query(sql, values))
    })
  return {
    label,
    query,
    transaction: (work) => borrow((client, spoil) => inTransaction(client, spoil, work)),
    within: (transaction) => {
      const { connection } = transaction as { connection: PgClientLike }
      return { query: (sql, values) => queryClient(connection, sql, values) }
    },
    connect: () => connect(manager, writeConfig(sequelize), label),
  }
}

/** Lends a pool connection to the work; one that the work spoils is closed. */
type Borrow = <T>(work: (client: PgClientLike, spoil: () => void) => Promise<T>) => Promise<T>

function borrowing(manager: ConnectionManagerLike, label: string): Borrow {
  return async (work) => {
    const client = await manager.getConnection({ type: 'write', useMaster: true }).catch((error) =>
      refuse(error, label)
    )
    let isSpoilt = false
    try {
      return await work(client, () => void (isSpoilt = true))
    } finally {
      // Its goodbye may never be answered, so nobody waits for it.
      if (isSpoilt) Promise.resolve(manager.pool.destroy(client)).catch(() => {})
      else await manager.releaseConnection(client)
    }
  }
}

async function defaultsToReadCommitted(client: PgClientLike): Promise<boolean> {
  const [row] = await queryClient<{ level: string }>(
    client,
    `SELECT current_setting('default_transaction_isolation') AS level`,
  )
  return row!.level === 'read committed'
}

async function inTransaction<T>(
  client: PgClientLike,
  spoil: () => void,
  work: (tx: Queryable) => Promise<T>,
): Promise<T> {
  const tx: Queryable = { query: (sql, values) => queryClient(client, sql, values) }
  try {
    await tx.query('BEGIN ISOLATION LEVEL READ COMMITTED')
    const result = await work(tx)
    await tx.query('COMMIT')
    return result
  } catch (error) {
    // Back in the pool, what others write on this connection would be part of the transaction that is still open.
    await tx.query('ROLLBACK').catch(spoil)
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
