/**
 * What instances hold, without the deep copy that their own `toJSON` makes of it first.
 * @module
 */
import type { Model } from 'sequelize'
import type { Column } from './catalog.ts'
import type { Plan } from './plan.ts'
import { attributesOf } from './tables.ts'

interface Instance {
  dataValues: Record<string, unknown>
  _options: { include?: unknown; includeNames?: readonly string[] }
  _hasCustomGetters?: number
  get: unknown
  set: unknown
  toJSON: unknown
}

type Base = Pick<Instance, 'get' | 'set' | 'toJSON'>

/** The class that all models of a plan extend, as its prototype. */
export function basePrototype({ model }: Plan): Base {
  return (model.sequelize!.constructor as unknown as { Model: { prototype: Base } }).Model.prototype
}

/** What `JSON.stringify` shows of a value: of an instance that has no `toJSON` of its own, the values themselves. */
export function shownOf(made: unknown, base: Base): unknown {
  return typeof made === 'object' && made !== null && (made as Instance).toJSON === base.toJSON
    ? plainOf(made as Instance, base)
    : made
}

// As `get({ plain: true })`, which looks each value up among the includes, and each include among the values.
function plainOf(row: Instance, base: Base): unknown {
  if (row.get !== base.get || row._hasCustomGetters) return (row as unknown as Model).get({ plain: true })
  const { include, includeNames } = row._options
  if (!include || !includeNames) return row.dataValues
  const values = { ...row.dataValues }
  for (const name of includeNames) {
    const found = values[name]
    if (Array.isArray(found)) values[name] = found.map((each: Instance) => plainOf(each, base))
    else if (found instanceof Object && (found as Instance).dataValues) values[name] = plainOf(found as Instance, base)
  }
  return values
}

interface Hooked {
  hasHook(name: string): boolean
}

const plainTypes: readonly string[] = ['int2', 'int4', 'int8', 'uuid', 'text', 'varchar']
const plainAttributes: readonly string[] = ['SMALLINT', 'INTEGER', 'BIGINT', 'UUID', 'STRING', 'TEXT']

/**
 * The attribute whose value, as text, is the key: where the key is one column, read as PostgreSQL prints it, and selected
 * anyhow. Undefined where the key has to be selected by itself.
 */
export function keyAttribute(plan: Plan, key: readonly Column[], selected: readonly unknown[]): string | undefined {
  const [only, ...more] = key
  if (!only || more.length > 0 || !only.builtIn || !plainTypes.includes(only.typeName)) return undefined
  if ((plan.model.prototype as unknown as Base).set !== basePrototype(plan).set) return undefined
  if ([plan.model, plan.model.sequelize!].some((each) => (each as unknown as Hooked).hasHook('afterFind'))) {
    return undefined
  }
  return Object.values(attributesOf(plan.model)).find((each) =>
    each.field === only.name && selected.includes(each.fieldName) && hasPlainType(each.type)
  )?.fieldName
}

function hasPlainType(type: unknown): boolean {
  return plainAttributes.includes((type as { key?: string }).key ?? '')
}
