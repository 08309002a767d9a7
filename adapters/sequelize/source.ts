/**
 * A Sequelize model as the source of an index.
 * @module
 */
import type { Attributes, FindOptions, Model, ModelStatic } from 'sequelize'
import { ElasticUmzugError } from '../../src/errors.ts'
import type { Queryable } from '../../src/ports.ts'
import { keep } from '../kept.ts'
import { changedAttributes, chosenKeys } from './choice.ts'
import { dependenciesOf, readColumns } from './dependencies.ts'
import { routed, routingOf } from './ids.ts'
import { makingOf } from './making.ts'
import { type Plan, type Reads, resolvePlan, type SequelizeSource } from './plan.ts'
import { countDocuments, countScope, readKeys, readPage, splitKeys } from './read.ts'
import { prepareReading, type Reading } from './reading.ts'
import type { MakeDocument } from './rows.ts'
import { tableOf } from './tables.ts'

/** What of a model is read, and how documents are made from it. */
export interface FromModelOptions<M extends Model = Model>
  extends Pick<FindOptions, 'include' | 'attributes' | 'where' | 'order'> {
  /**
   * Makes the document of a row, an instance with its includes; may be asynchronous. Nothing (undefined or null) means
   * that the row has no document. When it throws, this document alone is held back and tried again.
   * Without it the document is what `JSON.stringify(row)` gives, binary values as base64 text.
   */
  document?: (row: M) => unknown
  /**
   * What makes the `_id` of a document instead of the primary key: attributes that are not null, with a unique index among
   * them. When a value of them changes, the document gets another `_id`, and the old one is deleted.
   */
  id?: AttributeName<M> | readonly AttributeName<M>[]
  /**
   * The attribute whose value is the routing of the document; not null. It leads the `_id` (`7,123`) where it is no part of
   * it anyhow, so that no `_id` is ever in two shards.
   */
  routing?: AttributeName<M>
  /**
   * The attribute that tells when a row was changed, for `es:update --since`. Default: the model's own `updatedAt`, where it
   * has timestamps.
   */
  updatedAt?: AttributeName<M>
}

/** Name of an attribute of a model. */
export type AttributeName<M extends Model> = keyof Attributes<M> & string

/**
 * Makes a source from a model: its rows are the documents, with what `include` adds.
 *
 * Options mean what they mean in `Model.findAll`; scopes, default scope and paranoid are respected. `order` sorts the
 * arrays of included models (by their key where it is silent); documents come in key order. Nothing is read here, and
 * associations may be set up later. Where no `document`, getter, virtual attribute, find hook or expression asks for
 * instances, PostgreSQL makes the documents itself.
 *
 * What a literal or a function in a condition reads from other tables is not known: changes there concern no document.
 * With `document`, `count` makes every document, because only that tells which rows have one; a version is verified
 * without it where there are as many documents as rows.
 *
 * Throws `DEFINITION_INVALID` when it is given no model. Using the source throws `SOURCE_INVALID` for a model without
 * primary key, an include that is no association, an attribute, column or table that does not exist, and options that
 * leave out rows by number (`limit`, `offset`).
 */
export function fromModel<M extends Model>(model: ModelStatic<M>, options: FromModelOptions<M> = {}): SequelizeSource {
  assertModel(model)
  const { document, id, routing, updatedAt, ...finder } = options
  let plan: Plan | undefined
  const planned = () => plan ??= resolvePlan(model, finder, { id, routing })
  const route = routing === undefined ? undefined : (key: string) => routingOf(planned(), key)
  const readings = keep((db) => prepareReading(db, planned(), document as MakeDocument | undefined))
  return {
    table: tableOf(model),
    sequelize: model.sequelize!,
    ...(id === undefined && routing === undefined ? {} : { ids: JSON.stringify({ id, routing }) }),
    ...(route && { routing: route }),
    get tables() {
      return planned().reads.map((each) => each.table)
    },
    get reads() {
      return planned().reads.map((each) => widened(each, readings.known()))
    },
    async dependencies(db) {
      return dependenciesOf(await readings.prepare(db))
    },
    async page(db, range, size, version) {
      const page = await readings.using(db, (reading) => readPage(db, reading, range, size, checked(version)))
      return routed(page, route)
    },
    async byKeys(db, keys, version) {
      const found = await readings.using(db, (reading) => readKeys(db, reading, keys, checked(version)))
      return routed(found, route)
    },
    get knowsChanges() {
      return changedAttributes(model, updatedAt).length > 0
    },
    keys: (db, choice, after, limit) =>
      readings.using(db, (reading) => chosenKeys(db, reading, updatedAt, choice, { after, limit })),
    making: (db) => readings.using(db, (reading) => Promise.resolve(makingOf(reading))),
    count: (db) => readings.using(db, (reading) => countDocuments(db, reading)),
    ...(document && { countRows: (db: Queryable) => readings.using(db, (reading) => countScope(db, reading)) }),
    split: (db, parts) => readings.using(db, (reading) => splitKeys(db, reading, parts)),
  }
}

function widened(reads: Reads, known: Reading | undefined): Reads {
  if (!known) return reads
  return { ...reads, columns: readColumns(known.catalog, { table: reads.table, columns: new Set(reads.columns) }) }
}

function checked(version: string): string {
  if (/^\d+$/.test(version)) return version
  throw new ElasticUmzugError('SOURCE_INVALID', `"${version}" is no document version.`, { next: 'give digits' })
}

function assertModel(model: unknown): void {
  const { rawAttributes, sequelize } = (model ?? {}) as { rawAttributes?: unknown; sequelize?: unknown }
  if (typeof model === 'function' && rawAttributes && sequelize) return
  throw new ElasticUmzugError(
    'DEFINITION_INVALID',
    `fromModel() was given ${describe(model)}, not an initialised model.`,
    {
      next: 'define the model (define or init) before the definition, and give the model itself',
    },
  )
}

function describe(value: unknown): string {
  return typeof value === 'function'
    ? `the class ${value.name} before its init()`
    : value === null
    ? 'null'
    : typeof value
}
