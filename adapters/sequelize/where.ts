/**
 * Conditions of Sequelize: the columns they read, and their SQL.
 * @module
 */
import { quoteName } from '../../src/sql.ts'
import { sourceError } from './faults.ts'
import { type AnyModel, columnsOf } from './tables.ts'

/** Columns a condition reads; every column of the model when it holds an expression whose columns are not known. */
export function whereColumns(model: AnyModel, where: unknown): string[] {
  if (where === undefined || where === null) return []
  const all = columnsOf(model)
  const named = namesIn(model, where, new Set(all))
  return named.has(unknown) ? all : [...named] as string[]
}

const unknown = Symbol('unknown')

function namesIn(model: AnyModel, where: unknown, columns: ReadonlySet<string>): Set<string | symbol> {
  if (where === undefined || where === null) return new Set()
  if (Array.isArray(where)) return merge(where.map((each) => namesIn(model, each, columns)))
  if (!isPlain(where)) return new Set([unknown])
  const names = Reflect.ownKeys(where).map((key) => {
    const value = where[key]
    // An operator above columns: and, or, not.
    if (typeof key === 'symbol') return namesIn(model, value, columns)
    assertOwn(model, key)
    const column = columns.has(key) ? key : key.split('.')[0]!
    return new Set([columns.has(column) && !refersElsewhere(value) ? column : unknown])
  })
  return merge(names)
}

function assertOwn(model: AnyModel, key: string): void {
  if (!/^\$.*\$$/.test(key)) return
  throw sourceError(
    model,
    `\`where\` reads ${key} of an include`,
    'put the condition in `where` of that include, with `required: true`',
  )
}

// A value that is itself an expression (`col('other')`, a literal) reads columns that are not known.
function refersElsewhere(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(refersElsewhere)
  if (isPlain(value)) return Reflect.ownKeys(value).some((key) => refersElsewhere(value[key]))
  return typeof value === 'object' && value !== null && isMethod(value)
}

function isMethod(value: object): boolean {
  return ['Literal', 'Fn', 'Col', 'Cast', 'Json', 'Where'].includes(value.constructor?.name ?? '')
}

function isPlain(value: unknown): value is Record<string | symbol, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value) as unknown
  return prototype === null || prototype === Object.prototype || (prototype as object).constructor?.name === 'Object'
}

function merge(sets: Set<string | symbol>[]): Set<string | symbol> {
  return new Set(sets.flatMap((each) => [...each]))
}

interface SequelizeLike {
  literal(sql: string): unknown
  getQueryInterface(): { queryGenerator: { whereItemsQuery(where: unknown, options: object): string } }
}

/** SQL of a condition on a table alias; empty when there is none. */
export function whereSql(model: AnyModel, where: unknown, alias: string): string {
  if (where === undefined || where === null) return ''
  const sequelize = model.sequelize as unknown as SequelizeLike
  return sequelize.getQueryInterface().queryGenerator.whereItemsQuery(where, {
    prefix: sequelize.literal(quoteName(alias)),
    model,
  })
}
