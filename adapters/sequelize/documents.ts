/**
 * Documents made by PostgreSQL itself: a page is one statement and one text.
 * @module
 */
import { quoteName } from '../../src/sql.ts'
import { type Catalog, columnIn, columnsIn } from './catalog.ts'
import { jsonOf } from './json.ts'
import { keyOrder, quoteText } from './keys.ts'
import type { Order } from './order.ts'
import type { Field } from './fields.ts'
import type { Include, Place, Plan } from './plan.ts'
import { column, conditions, fromInclude, upColumn, whereAll } from './scope.ts'
import { columnOf, keyOf } from './tables.ts'

/** What the statement of a plan is made from. */
export interface Making {
  plan: Plan
  catalog: Catalog
  order: Order
}

/** SQL of documents: joins for `FROM page AS "<alias of the plan>"`, and the JSON of a row. */
export interface DocumentSql {
  joins: string
  document: string
}

/** Name of the CTE that holds the rows of a page. */
export const pageName = 'elastic_umzug_page'

/** SQL of the documents of a plan; undefined when a column has a type that only Sequelize reads. */
export function documentSql(making: Making): DocumentSql | undefined {
  const { joins, pairs } = partsOf(making, making.plan)
  return pairs && { joins: joins.join(''), document: objectSql(pairs) }
}

/** Columns of the rows themselves that their documents need. */
export function pageColumns({ key, fields, includes }: Plan): string[] {
  return [...new Set([...key, ...fields.map((each) => each.column), ...includes.map((each) => each.parentColumn)])]
}

type Pair = readonly [name: string, value: string]

interface Parts {
  joins: string[]
  pairs: Pair[] | undefined
}

function partsOf(making: Making, place: Plan | Include): Parts {
  const through = (place as Partial<Include>).through
  const below = place.includes.filter((each) => each.shown).map((each) => partOf(making, each, place.alias))
  const own = [
    ...place.fields.map((each) => fieldPair(making.catalog, place, each)),
    ...(through && through.fields.length > 0 ? [throughPair(making.catalog, through)] : []),
  ]
  const pairs = [...own, ...below.map((each) => each.pair)]
  return {
    joins: below.flatMap((each) => each.joins),
    pairs: pairs.includes(undefined) ? undefined : pairs as Pair[],
  }
}

function fieldPair(catalog: Catalog, place: Place, { name, column: from }: Field): Pair | undefined {
  const value = jsonOf(column(place.alias, from), columnIn(catalog, place, from))
  return value === undefined ? undefined : [name, value]
}

function throughPair(catalog: Catalog, through: Place & { name: string }): Pair | undefined {
  const pairs = through.fields.map((each) => fieldPair(catalog, through, each))
  return pairs.includes(undefined) ? undefined : [through.name, objectSql(pairs as Pair[])]
}

interface Part {
  joins: string[]
  pair: Pair | undefined
}

function partOf(making: Making, include: Include, parentAlias: string): Part {
  return isDirect(include) ? directPart(making, include, parentAlias) : gatheredPart(making, include, parentAlias)
}

/** True when at most one row can be joined, which the primary key assures. */
function isDirect({ kind, model, ownColumn }: Include): boolean {
  const key = keyOf(model)
  return kind === 'BelongsTo' && key.length === 1 && key[0] === ownColumn
}

function directPart(making: Making, include: Include, parentAlias: string): Part {
  const { joins, pairs } = partsOf(making, include)
  const join = ` LEFT JOIN ${fromInclude(include)} ON ${directJoin(include, parentAlias)}`
  const found = `${column(include.alias, include.ownColumn)} IS NULL`
  const value = pairs && `CASE WHEN ${found} THEN NULL ELSE ${objectSql(pairs)} END`
  return { joins: [join, ...joins], pair: value === undefined ? undefined : [include.name, value] }
}

function directJoin(include: Include, parentAlias: string): string {
  return [`${upColumn(include)} = ${column(parentAlias, include.parentColumn)}`, ...conditions(include)].join(' AND ')
}

// Rows of a page's parents are gathered in one pass, by hash or by index as the planner sees fit: a subquery a row
// would read the whole table for each where the foreign key has no index.
function gatheredPart(making: Making, include: Include, parentAlias: string): Part {
  const { joins, pairs } = partsOf(making, include)
  if (!pairs) return { joins: [], pair: undefined }
  const name = `${include.alias}#`
  const list = `json_agg(${objectSql(pairs)} ORDER BY ${arrayOrder(making, include)})`
  const reached = [`${upColumn(include)} IN (${parentValues(making.plan, include)})`, ...conditions(include)]
  const rows = `SELECT ${upColumn(include)} AS "up", ${list} AS "list"` +
    ` FROM ${fromInclude(include)}${joins.join('')}${whereAll(reached)} GROUP BY 1`
  const join = ` LEFT JOIN (${rows}) AS ${quoteName(name)} ON ${column(name, 'up')} = ${
    column(parentAlias, include.parentColumn)
  }`
  const value = include.many ? `coalesce(${column(name, 'list')}, '[]')` : `${column(name, 'list')} -> 0`
  return { joins: [join], pair: [include.name, value] }
}

function arrayOrder({ order, catalog }: Making, include: Include): string {
  const terms = (order.terms.get(include) ?? []).map(({ attribute, direction }) =>
    `${column(include.alias, columnOf(include.model, attribute))} ${direction}`
  )
  return [...terms, keyOrder(include.alias, columnsIn(catalog, include, keyOf(include.model)))].join(', ')
}

// The values by which the parents on this page are joined.
function parentValues(plan: Plan, { parent, parentColumn }: Include): string {
  const { from, where } = reachedRows(plan, parent)
  return `SELECT ${column((parent ?? plan).alias, parentColumn)} FROM ${from}${whereAll(where)}`
}

function reachedRows(plan: Plan, include: Include | undefined): { from: string; where: string[] } {
  if (!include) return { from: `${pageName} AS ${quoteName(plan.alias)}`, where: [] }
  if (!isDirect(include)) {
    return { from: fromInclude(include), where: [`${upColumn(include)} IN (${parentValues(plan, include)})`] }
  }
  const above = reachedRows(plan, include.parent)
  const join = directJoin(include, (include.parent ?? plan).alias)
  return { from: `${above.from} JOIN ${fromInclude(include)} ON ${join}`, where: above.where }
}

/** Bytes of the longest name PostgreSQL takes for a column. */
const maxName = 63

// A row is turned into JSON in a quarter less time than a list of names and values.
function objectSql(pairs: readonly Pair[]): string {
  if (pairs.some(([name]) => new TextEncoder().encode(name).length > maxName)) {
    return `json_build_object(${pairs.map(([name, value]) => `${quoteText(name)}, ${value}`).join(', ')})`
  }
  const row = pairs.map(([name, value]) => `${value} AS ${quoteName(name)}`).join(', ')
  return `(SELECT row_to_json(d) FROM (SELECT ${row}) AS d)`
}
