/**
 * Which rows of a model an update is about: by when they were changed, and by a condition.
 * @module
 */
import { ElasticUmzugError, messageOf } from '../../src/errors.ts'
import type { Choice, Queryable } from '../../src/ports.ts'
import { sqlState } from './castable.ts'
import { boundKey, compareKey, keyOrder, keyText, splitKey, uniqueOf } from './keys.ts'
import { column, whereAll } from './scope.ts'
import { type KeyedTable, type Rows, type Statement, tableFrom } from './statements.ts'
import { type AnyModel, attributesOf, columnNamed, columnOf } from './tables.ts'
import { whereSql } from './where.ts'

/** Attributes that tell when a row was changed: the one that is named, or those that Sequelize keeps itself. */
export function changedAttributes(model: AnyModel, updatedAt: string | undefined): string[] {
  const { updatedAt: kept, deletedAt } = timestampsOf(model)
  const found = updatedAt ?? kept
  // A row that is only marked as deleted has no new `updatedAt` where many were marked at once.
  return found === undefined ? [] : [found, ...(deletedAt === undefined ? [] : [deletedAt])]
}

function timestampsOf(model: AnyModel): { updatedAt?: string; deletedAt?: string } {
  return (model as unknown as { _timestampAttributes: { updatedAt?: string; deletedAt?: string } })._timestampAttributes
}

/** Keys of the rows of a choice, whatever the scope of the source: what left it has a document to be deleted. */
export async function chosenKeys(
  db: Queryable,
  rows: Rows,
  updatedAt: string | undefined,
  choice: Choice,
  page: { after: string | null; limit: number },
): Promise<string[]> {
  const { model, alias } = rows.plan
  const columns = changedAttributes(model, updatedAt).map((each) => columnNamed(model, each, 'updatedAt'))
  const where = choice.where === undefined ? [] : [whereSql(model, mapped(model, choice.where), alias)]
  const { sql, values } = keysWhere(rows, { columns, since: choice.since }, where.filter((each) => each !== ''), page)
  return await chosen(db, { sql, values }, `the condition for model ${model.name}`)
}

/** When rows were changed: the columns that tell it, and from when on. */
export interface Changed {
  columns: readonly string[]
  since: string | undefined
}

/** Selects the keys of a page of rows that were changed and meet conditions. */
export function keysWhere(
  { plan, key, unique }: KeyedTable,
  { columns, since }: Changed,
  conditions: readonly string[],
  { after, limit }: { after: string | null; limit: number },
): Statement {
  const values: unknown[] = [limit]
  const all = conditions.map((each) => `(${each})`)
  const parts = after === null ? undefined : splitKey(after, key.length)
  if (parts) {
    all.push(compareKey(plan.alias, unique, '>', boundKey(unique, values.length + 1)))
    values.push(...uniqueOf(unique, parts))
  }
  if (since !== undefined) {
    values.push(since)
    const at = `$${values.length}::timestamptz`
    all.push(`(${columns.map((each) => `${column(plan.alias, each)} >= ${at}`).join(' OR ')})`)
  }
  const order = keyOrder(plan.alias, unique)
  return {
    sql: `SELECT ${keyText(plan.alias, key)} AS key FROM ${tableFrom({ plan })}${
      whereAll(all)
    } ORDER BY ${order} LIMIT $1`,
    values,
  }
}

/** Runs it. Throws `COMMAND_INVALID` for what PostgreSQL refuses of it. */
export async function chosen(db: Queryable, { sql, values }: Statement, what: string): Promise<string[]> {
  try {
    return (await db.query<{ key: string }>(sql, values)).map((each) => each.key)
  } catch (error) {
    if (!/^(22|42)/.test(sqlState(error))) throw error
    throw new ElasticUmzugError('COMMAND_INVALID', `PostgreSQL refuses ${what}: ${messageOf(error)}`, {
      next: 'correct the condition, or `updatedAt` of the source',
      cause: error,
    })
  }
}

interface Utils {
  cloneDeep<T>(value: T): T
  mapWhereFieldNames(where: unknown, model: AnyModel): unknown
}

// As a finder would put it: operators, then columns.
function mapped(model: AnyModel, where: unknown): unknown {
  const { Op, Utils } = model.sequelize!.constructor as unknown as { Op: Record<string, symbol>; Utils: Utils }
  const named = operators(where, Op)
  assertNames(model, named)
  return Utils.mapWhereFieldNames(Utils.cloneDeep(named), model)
}

// JSON has no symbols: `$gt` there is `Op.gt`.
function operators(value: unknown, ops: Record<string, symbol>): unknown {
  if (Array.isArray(value)) return value.map((each) => operators(each, ops))
  if (!isPlain(value)) return value
  return Object.fromEntries(
    Reflect.ownKeys(value).map((key) => [
      typeof key === 'string' && /^\$\w+$/.test(key) ? operator(key, ops) : key,
      operators(value[key], ops),
    ]),
  )
}

function operator(key: string, ops: Record<string, symbol>): symbol {
  const found = ops[key.slice(1)]
  if (found) return found
  throw invalid(
    `"${key}" is no operator of Sequelize`,
    'as in { "pages": { "$gt": 100 } }: $eq $ne $gt $in $like $or …',
  )
}

function assertNames(model: AnyModel, where: unknown): void {
  if (Array.isArray(where)) return where.forEach((each) => assertNames(model, each))
  if (!isPlain(where)) return
  const attributes = attributesOf(model)
  for (const key of Reflect.ownKeys(where)) {
    if (typeof key === 'symbol') assertNames(model, where[key])
    // `meta.size` is inside of JSON, `year::text` a cast.
    else if (!attributes[key] && !attributes[key.split(/\.|::/)[0]!] && !isColumn(model, key)) {
      throw invalid(`model ${model.name} has no attribute "${key}"`, `there are: ${Object.keys(attributes).join(', ')}`)
    }
  }
}

function isColumn(model: AnyModel, name: string): boolean {
  return Object.keys(attributesOf(model)).some((each) => columnOf(model, each) === name)
}

function invalid(what: string, next: string): ElasticUmzugError {
  return new ElasticUmzugError('COMMAND_INVALID', `The condition is wrong: ${what}.`, { next })
}

function isPlain(value: unknown): value is Record<string | symbol, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value) as unknown
  return prototype === null || prototype === Object.prototype
}
