/**
 * Which tables are captured how, by the config.
 * @module
 */
import type { Sequelize } from 'sequelize'
import type { CaptureMode, Config, ModeOf } from '../../../src/config.ts'
import { ElasticUmzugError } from '../../../src/errors.ts'
import type { Definition } from '../../../src/search/definition.ts'
import { type AnyModel, tableId, tableOf } from '../tables.ts'

/**
 * Reads the config's `capture`; associations have to be set up. Throws `CONFIG_INVALID` for a name that is neither a model
 * nor a table that the definitions read, and for two names of one table that say different things.
 */
export function modesOf(
  sequelize: Sequelize,
  definitions: readonly Definition[],
  capture: Config['capture'] = {},
): ModeOf {
  const { '*': rest, ...named } = typeof capture === 'string' ? { '*': capture } : capture
  const read = new Set(definitions.flatMap(({ source }) => source.tables.map(tableId)))
  const modes = new Map<string, CaptureMode>()
  for (const [name, mode] of Object.entries(named)) {
    const table = tableOfName(sequelize, read, name)
    if ((modes.get(table) ?? mode) !== mode) throw twice(table)
    modes.set(table, mode)
  }
  return (table) => modes.get(table) ?? rest ?? (read.has(table) ? 'hooks' : undefined)
}

function tableOfName(sequelize: Sequelize, read: ReadonlySet<string>, name: string): string {
  const models = sequelize.models as Record<string, AnyModel>
  const table = Object.hasOwn(models, name) ? tableId(tableOf(models[name]!)) : name
  if (read.has(table)) return table
  const known = Object.keys(models).filter((each) => read.has(tableId(tableOf(models[each]!))))
  throw new ElasticUmzugError(
    'CONFIG_INVALID',
    `\`capture.${name}\` names no model and no table that a definition reads; known are: ` +
      `${[...known, ...read].join(', ') || 'none'}.`,
    { next: `correct \`${name}\`, or remove it` },
  )
}

function twice(table: string): ElasticUmzugError {
  return new ElasticUmzugError(
    'CONFIG_INVALID',
    `\`capture\` names ${table} twice, once for hooks, once for triggers.`,
    {
      next: 'remove one of them',
    },
  )
}
