/**
 * Which documents a changed row concerns: SQL from every table of a plan up to the rows that are documents.
 * Rows between are looked up without the conditions of the plan: a row that just left them concerns its document too.
 * @module
 */
import type { Dependency } from '../../src/ports.ts'
import { quoteName, quoteTable } from '../../src/sql.ts'
import { type Catalog, columnIn } from './catalog.ts'
import { capturedValue, compareKey, type KeyColumn, keyOrder, keyText, splitKeySql, uniqueOf } from './keys.ts'
import type { Include, Place, Plan, Through } from './plan.ts'
import type { KeyedTable } from './statements.ts'
import { includesOf } from './reads.ts'
import { column, fromInclude, upColumn, whereAll } from './scope.ts'
import { tableId } from './tables.ts'

/**
 * The rows that changed, as images of columns. PostgreSQL takes the elements of any jsonb array for 100 rows, and would read whole
 * tables for them where an index finds the few; those of an array that it cannot see it takes for 10.
 */
export const changed: string = `unnest(ARRAY(SELECT e FROM jsonb_array_elements($1) AS e)) AS changed(image)`

/** A plan as the database has it. */
export type Depending = KeyedTable & { plan: Plan; catalog: Catalog }

/** Dependencies of a plan: one for each place a table has in it. */
export function dependenciesOf(depending: Depending): Dependency[] {
  const { plan, catalog, key } = depending
  const includes = includesOf(plan).flatMap((each) => [
    dependency(depending, each, upKeys(plan, each, targetValues(catalog, each))),
    ...(each.through
      ? [dependency(depending, each.through, upKeys(plan, each, joinValues(catalog, each.through)))]
      : []),
  ])
  return [{ ...dependency(depending, plan, ''), keys: ownKeys(key), own: true }, ...includes]
}

function dependency(depending: Depending, place: Place, reached: string): Dependency {
  return {
    table: tableId(place.table),
    columns: readColumns(depending.catalog, place),
    capture: depending.plan.reads.find((each) => tableId(each.table) === tableId(place.table))!.capture,
    keys: rootKeys(depending, reached),
    own: false,
    allKeys: rootKeys(depending, ''),
  }
}

/** Columns that a place reads; all of a table in which the database changes some that the writer does not name. */
export function readColumns(catalog: Catalog, place: Pick<Place, 'table' | 'columns'>): string[] {
  const known = catalog.get(tableId(place.table))
  return known?.rewritten ? [...known.columns.keys()] : [...place.columns]
}

/** SQL of the keys of changed rows that are themselves documents. */
export function ownKeys(key: readonly KeyColumn[]): string {
  const values = key.map((each) => `${capturedValue('changed.image', each)} AS ${quoteName(each.name)}`)
  return `SELECT ${keyText('k', key)} AS key FROM (SELECT ${values.join(', ')} FROM ${changed}) AS k`
}

/** SQL of the keys of the rows that a condition reaches, above the cursor; of all when it is empty. */
export function rootKeys({ plan: { table, alias }, key, unique }: KeyedTable, reached: string): string {
  const cursor = uniqueOf(unique, splitKeySql('$2::text', key))
  const above = `($2::text IS NULL OR ${compareKey(alias, unique, '>', cursor)})`
  const where = whereAll([...(reached ? [reached] : []), above])
  return `SELECT ${keyText(alias, key)} AS key FROM ${quoteTable(table)} AS ${quoteName(alias)}` +
    `${where} ORDER BY ${keyOrder(alias, unique)} LIMIT $3`
}

// Values of the parent's joined column, from images of the include's own rows. Old images name former parents.
function targetValues(catalog: Catalog, include: Include): string {
  const own = `SELECT ${capturedValue('changed.image', columnIn(catalog, include, include.ownColumn))} FROM ${changed}`
  const { through } = include
  if (!through) return own
  const joined = column(through.alias, through.ownColumn)
  return `SELECT ${column(through.alias, through.parentColumn)} FROM ${quoteTable(through.table)} AS ${
    quoteName(through.alias)
  }` +
    ` WHERE ${joined} IN (${own})`
}

// The same from images of join rows.
function joinValues(catalog: Catalog, through: Through): string {
  return `SELECT ${capturedValue('changed.image', columnIn(catalog, through, through.parentColumn))} FROM ${changed}`
}

// The condition on the rows that are documents, by way of the rows between as they are now.
function upKeys(plan: Plan, { parent, parentColumn }: Include, values: string): string {
  if (!parent) return `${column(plan.alias, parentColumn)} IN (${values})`
  const above = `SELECT ${upColumn(parent)} FROM ${fromInclude(parent)} WHERE ${
    column(parent.alias, parentColumn)
  } IN (${values})`
  return upKeys(plan, parent, above)
}
