/**
 * A config over several databases, taken apart: each database has its own tables, migrations, indexes and run lock.
 * @module
 */
import type { Sequelize } from 'sequelize'
import { type Config, type DatabaseConfig, isInstance } from './config.ts'
import { ElasticUmzugError } from './errors.ts'
import { assertDistinct, type Definition } from './search/definition.ts'

/** The part of a config that is about one database. */
export interface DatabasePart {
  /** Its name in the config; `default` where there is only one. */
  name: string
  config: DatabaseConfig
}

/**
 * The parts of a config, in its order. An index belongs to the database of its source's models; migrations to the one they
 * are named for, and unnamed ones to the first. Throws `CONFIG_INVALID` and `DEFINITION_DUPLICATE`.
 */
export function databasesOf(config: Config): DatabasePart[] {
  const { sequelize, indexes = [], migrations, ...rest } = config
  if (isInstance(sequelize)) return [{ name: 'default', config: { ...config, sequelize } }]
  // Aliases and physical names are those of one cluster, whatever database the rows are in.
  assertDistinct(indexes)
  const names = Object.keys(sequelize)
  const owners = new Map(indexes.map((each) => [each, ownerOf(sequelize, each)]))
  return names.map((name, at) => ({
    name,
    config: {
      ...rest,
      sequelize: sequelize[name]!,
      indexes: indexes.filter((each) => owners.get(each) === name),
      ...migrationsOf(migrations, names, at),
    },
  }))
}

/** What a source made from models has. */
interface OfModels {
  sequelize?: Sequelize
}

function ownerOf(sequelize: Readonly<Record<string, Sequelize>>, { name, source, database }: Definition): string {
  const instances = new Set((source.parts ?? [source]).flatMap((each) => (each as OfModels).sequelize ?? []))
  const found = Object.keys(sequelize).filter((each) => instances.has(sequelize[each]!))
  if (found.length < instances.size || found.length > 1) {
    throw invalid(`index "${name}" reads models of ${found.join(' and ') || 'no database'} of the config`, {
      next: 'define it over models of one of the instances that `sequelize` names',
    })
  }
  const [first] = Object.keys(sequelize)
  const owner = database ?? found[0] ?? first!
  if (!Object.hasOwn(sequelize, owner) || (found[0] ?? owner) !== owner) {
    throw invalid(`index "${name}" is said to be in the database "${owner}"`, {
      next: `correct \`database\`; known are: ${Object.keys(sequelize).join(', ')}`,
    })
  }
  return owner
}

// By name where every key is one of a database; everything else that Umzug takes belongs to the first one.
function migrationsOf(migrations: Config['migrations'], names: readonly string[], at: number): Partial<DatabaseConfig> {
  if (isByName(migrations, names)) {
    const own = migrations[names[at]!]
    return own === undefined ? {} : { migrations: own }
  }
  return at === 0 && migrations !== undefined ? { migrations } : {}
}

function isByName(
  migrations: Config['migrations'],
  names: readonly string[],
): migrations is Record<string, NonNullable<DatabaseConfig['migrations']>> {
  if (typeof migrations !== 'object' || Array.isArray(migrations)) return false
  const keys = Object.keys(migrations)
  return keys.length > 0 && keys.every((each) => names.includes(each))
}

function invalid(what: string, parts: { next: string }): ElasticUmzugError {
  return new ElasticUmzugError('CONFIG_INVALID', `The config is wrong: ${what}.`, parts)
}
