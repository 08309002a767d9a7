/**
 * A plan made ready against the database: types known, the way of making documents chosen.
 * @module
 */
import type { Queryable } from '../../src/ports.ts'
import { type Catalog, type Column, columnIn, columnsIn, readCatalog } from './catalog.ts'
import { type DocumentSql, documentSql } from './documents.ts'
import { type Order, orderOf, orderReason } from './order.ts'
import { sqlState } from './castable.ts'
import { sourceError } from './faults.ts'
import { uniqueColumns } from './ids.ts'
import type { UniqueColumn } from './keys.ts'
import { isParsedAsUsual, learnTypes } from './parsers.ts'
import type { Place, Plan } from './plan.ts'
import { includesOf } from './reads.ts'
import type { MakeDocument } from './rows.ts'
import { bulkText, pageSelect, rangeRows, type Rows, type Statement } from './statements.ts'

/** A plan with what the database says about it. */
export interface Reading extends Rows {
  plan: Plan
  catalog: Catalog
  key: Column[]
  unique: UniqueColumn[]
  order: Order
  document: MakeDocument | undefined
  /** Set when PostgreSQL makes the documents; else Sequelize does. */
  sql: DocumentSql | undefined
  /** Bytes of a line pair on the page before; it bounds the next one before it is read. */
  bytesPerRow: number | undefined
  /** Why Sequelize makes the documents. */
  reason: string | undefined
}

/** Makes a plan ready. Throws `SOURCE_INVALID` when a table or column does not exist. */
export async function prepareReading(db: Queryable, plan: Plan, document: MakeDocument | undefined): Promise<Reading> {
  const places = placesOf(plan)
  const catalog = await readCatalog(db, places.map((each) => each.table))
  const key = columnsIn(catalog, plan, plan.key)
  const unique = await uniqueColumns(db, plan.table, plan, key, {
    isPrimary: plan.isPrimary,
    fault: (what, next) => sourceError(plan.model, what, next),
  })
  const columns = places.flatMap((each) => columnsIn(catalog, each, [...each.columns]))
  await learnTypes(plan.model.sequelize!, columns)
  const order = orderOf(plan)
  const reading: Reading = {
    plan,
    catalog,
    key,
    unique,
    order,
    document,
    sql: undefined,
    reason: undefined,
    bytesPerRow: undefined,
  }
  reading.reason = document ? 'the definition has document()' : rowsReason(reading, places)
  if (reading.reason === undefined) await chooseSql(db, reading)
  if (!reading.sql) await assertConditions(db, reading)
  return reading
}

function placesOf(plan: Plan): Place[] {
  return [plan, ...includesOf(plan).flatMap((each) => each.through ? [each, each.through] : [each])]
}

function rowsReason({ order, plan, catalog }: Reading, places: readonly Place[]): string | undefined {
  const asked = places.find((each) => each.needsRows !== undefined)?.needsRows ?? orderReason(order)
  if (asked !== undefined) return asked
  const fields = places.flatMap((place) => place.fields.map((each) => columnIn(catalog, place, each.column)))
  const odd = fields.find((each) => !isParsedAsUsual(plan.model.sequelize!, each))
  return odd && `column "${odd.name}" of type ${odd.type} is parsed by the application`
}

async function chooseSql(db: Queryable, reading: Reading): Promise<void> {
  const sql = documentSql(reading)
  if (!sql) {
    reading.reason = 'a column has a type that only Sequelize reads'
    return
  }
  const chosen = rangeRows(reading, pageSelect(reading), { after: null, upTo: null }, 1)
  const { sql: text, values } = bulkText(reading, sql, chosen, { version: '1', keys: true })
  // A literal of the user's may name an alias that exists only in Sequelize's own statement.
  const fault = await faultOf(db, { sql: text, values })
  if (fault === undefined) reading.sql = sql
  else reading.reason = `a condition can only be put by Sequelize (${fault})`
}

async function assertConditions(db: Queryable, reading: Reading): Promise<void> {
  const fault = await faultOf(db, rangeRows(reading, '1', { after: null, upTo: null }, 1))
  if (fault === undefined) return
  throw sourceError(
    reading.plan.model,
    `PostgreSQL refuses its conditions: ${fault}`,
    'correct its `where`; a condition on an included model goes into `where` of that include',
  )
}

// Why a statement is refused before it is run: unknown names, types that do not go together.
async function faultOf(db: Queryable, { sql, values }: Statement): Promise<string | undefined> {
  try {
    await db.query(`EXPLAIN ${sql}`, values)
    return undefined
  } catch (error) {
    if (!/^(42|54)/.test(sqlState(error))) throw error
    return (error as Error).message
  }
}
