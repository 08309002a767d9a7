/**
 * Documents made from instances, where a model has getters or the user a function.
 * @module
 */
import type { FindOptions, Model, Sequelize } from 'sequelize'
import { messageOf } from '../../src/errors.ts'
import type { Documents } from '../../src/ports.ts'
import { quoteName } from '../../src/sql.ts'
import type { Column } from './catalog.ts'
import { basePrototype, keyAttribute, shownOf } from './instances.ts'
import { type KeyColumn, keyText, splitKey } from './keys.ts'
import { finderOrder, isNamed, type Order, separateOrder } from './order.ts'
import type { Include, Plan } from './plan.ts'
import { type AnyModel, keyAttributes } from './tables.ts'

/** Makes the document of a row; nothing means that the row has none. It may be asynchronous. */
export type MakeDocument = (row: never) => unknown

/** How rows become documents. */
export interface RowsMaking {
  plan: Plan
  key: readonly Column[]
  order: Order
  document: MakeDocument | undefined
}

/** Limits of what is made. */
export interface RowsLimits {
  version: string
  bytes: number | null
}

const keyName = '_elastic_umzug_key'

/** Documents of these keys, in their order, as far as `bytes` go. */
export async function rowDocuments(
  making: RowsMaking,
  keys: readonly string[],
  limits: RowsLimits,
): Promise<Documents> {
  const rows = await readRows(making, keys)
  const line = lining(making)
  return await linedDocuments(keys, (key) => {
    const row = rows.get(key)
    return row && line(row)
  }, limits)
}

type Line = string | undefined

/** Documents of keys in their order, as far as `bytes` go; a key without a line has none. */
export async function linedDocuments(
  keys: readonly string[],
  line: (key: string) => Line | Promise<Line>,
  limits: RowsLimits,
): Promise<Documents> {
  const documents: Documents = { count: 0, body: '', keys: [], last: null, failed: [] }
  let bytes = 0
  for (const key of keys) {
    if (limits.bytes !== null && bytes >= limits.bytes) break
    documents.last = key
    let made: Line
    try {
      const making = line(key)
      // Most are made at once: to wait for each would cost a turn of the event loop's queue.
      made = typeof making === 'object' ? await making : making
    } catch (error) {
      documents.failed!.push({ key, reason: messageOf(error) })
    }
    if (made === undefined) continue
    documents.body += `{"index":{"_id":${
      JSON.stringify(key)
    },"version":${limits.version},"version_type":"external"}}\n${made}\n`
    documents.keys.push(key)
    documents.count++
    bytes += made.length
  }
  return documents
}

function lining({ plan, document }: RowsMaking): (row: Model) => Line | Promise<Line> {
  const base = basePrototype(plan)
  const lineOf = (made: unknown) => made === undefined || made === null ? undefined : toLine(shownOf(made, base))
  if (!document) return lineOf
  return (row) => {
    const made = (document as (row: Model) => unknown)(row)
    return isPromise(made) ? Promise.resolve(made).then(lineOf) : lineOf(made)
  }
}

function isPromise(made: unknown): made is PromiseLike<unknown> {
  return typeof (made as { then?: unknown } | null | undefined)?.then === 'function'
}

/** How JSON shows a binary value, where nobody looks at each. */
const binaryMark = '{"type":"Buffer","data":['

/** One line of JSON; binary values become base64 text. */
export function toLine(value: unknown): string {
  const line = JSON.stringify(value)
  // To look at each value takes several times as long as all the rest, and few documents have binary ones.
  return line?.includes(binaryMark) ? lineWithBinary(value) : line
}

function lineWithBinary(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, each: unknown) {
    const raw = this[key]
    return isBinary(raw) ? raw.toString('base64') : each
  })
}

interface Binary {
  toString(encoding: string): string
}

function isBinary(value: unknown): value is Binary {
  return value instanceof Uint8Array && typeof (value as { copy?: unknown }).copy === 'function'
}

async function readRows({ plan, key, order }: RowsMaking, keys: readonly string[]): Promise<Map<string, Model>> {
  const found = new Map<string, Model>()
  if (keys.length === 0) return found
  const { merged } = plan.options
  const reader = (plan.model as unknown as { unscoped(): AnyModel }).unscoped()
  const { literal } = plan.model.sequelize!
  const chosen = literal(amongKeys(plan, key, keys))
  const attributes = selected(plan)
  // Sequelize folds joined rows by the primary key, and takes those apart only by what was selected of it.
  const added = keyAttributes(plan.model).map((each) => each.fieldName).filter((each) => !attributes.includes(each))
  const keyed = keyAttribute(plan, key, attributes)
  const rows = await reader.findAll({
    ...merged,
    attributes: [
      ...attributes,
      ...added,
      ...(keyed === undefined ? [[literal(keyText(plan.alias, key)), keyName]] : []),
    ],
    where: { [opAnd(plan)]: merged.where ? [chosen, merged.where] : [chosen] },
    include: separateInOrder(merged.include, plan, order),
    order: finderOrder(plan, order),
    // Committed rows of the primary, whatever transaction the caller is in, and none of the application's logging.
    transaction: null,
    useMaster: true,
    logging: false,
    benchmark: false,
  } as FindOptions)
  const names = keyed === undefined ? [keyName, ...added] : added
  for (const row of rows) {
    const text = takeOff(row as never, names, keyed ?? keyName)
    // A hasOne that has several rows gives its parent several times: the first has the lowest key.
    if (!found.has(text)) found.set(text, row)
  }
  return found
}

interface Values {
  dataValues: Record<string, unknown>
  _previousDataValues: Record<string, unknown>
}

// Takes what the user did not select off an instance; gives the key text.
function takeOff({ dataValues, _previousDataValues }: Values, names: readonly string[], keyed: string): string {
  const text = String(dataValues[keyed])
  for (const name of names) {
    delete dataValues[name]
    delete _previousDataValues[name]
  }
  return text
}

function selected({ options: { finder }, model }: Plan): unknown[] {
  return finder.originalAttributes ?? Object.keys((model as unknown as { rawAttributes: object }).rawAttributes)
}

function opAnd(plan: Plan): symbol {
  return (plan.model.sequelize!.constructor as unknown as { Op: { and: symbol } }).Op.and
}

function amongKeys(plan: Plan, key: readonly KeyColumn[], keys: readonly string[]): string {
  const sequelize = plan.model.sequelize as Sequelize
  const [only, ...more] = key
  if (only && more.length === 0) {
    return `${quoteName(plan.alias)}.${quoteName(only.name)} = ANY(ARRAY[${
      keys.map((each) => sequelize.escape(each)).join(', ')
    }]::${only.type}[])`
  }
  const rows = keys.map((each) => {
    const parts = splitKey(each, key.length) ?? []
    return `(${parts.map((part, index) => `${sequelize.escape(part)}::${key[index]!.type}`).join(', ')})`
  })
  const columns = key.map(({ name }) => `${quoteName(plan.alias)}.${quoteName(name)}`)
  return `(${columns.join(', ')}) IN (${rows.join(', ')})`
}

// A separate include is a query of its own, with its own order.
function separateInOrder(include: unknown, at: Plan | Include, order: Order): unknown {
  if (!Array.isArray(include)) return include
  return include.map((each: unknown) => {
    const found = isOptions(each) && at.includes.find((candidate) => isNamed(candidate, each))
    if (!found) return each
    return {
      ...each,
      ...(each.include === undefined ? {} : { include: separateInOrder(each.include, found, order) }),
      ...(found.separate ? { order: separateOrder(found, order, each.order) } : {}),
    }
  })
}

function isOptions(include: unknown): include is { include?: unknown; order?: unknown } {
  return typeof include === 'object' && include !== null && Object.getPrototypeOf(include) === Object.prototype
}
