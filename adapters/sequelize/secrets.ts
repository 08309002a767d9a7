/**
 * The passwords of a Sequelize instance.
 * @module
 */
import type { Sequelize } from 'sequelize'

interface LoginLike {
  username?: unknown
  database?: unknown
  password?: unknown
}

interface InstanceLike {
  config?: LoginLike
  options?: LoginLike & { replication?: { write?: LoginLike; read?: LoginLike | LoginLike[] } | false | null }
}

/**
 * Passwords of the primary and of every replica. One that is the name of its user or database as well is left out:
 * messages name those, so hiding it would hide them and keep nothing secret.
 */
export function secretsOfSequelize(sequelize: Sequelize): string[] {
  const { config = {}, options = {} } = sequelize as unknown as InstanceLike
  const { write, read } = options.replication || {}
  return [config, options, write ?? {}, ...[read ?? []].flat()].flatMap((login) => secretOf({ ...config, ...login }))
}

function secretOf({ username, database, password }: LoginLike): string[] {
  return typeof password === 'string' && password !== username && password !== database ? [password] : []
}
