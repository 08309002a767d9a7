/**
 * A Sequelize model as the source of an index.
 * @module
 */
import type { FindOptions, Model, ModelStatic } from 'sequelize'
import { ElasticUmzugError } from '../../src/errors.ts'
import type { Queryable } from '../../src/ports.ts'
import { sqlState } from './castable.ts'
import { dependenciesOf, readColumns } from './dependencies.ts'
import { type Plan, type Reads, resolvePlan, type SequelizeSource } from './plan.ts'
import { countDocuments, readKeys, readPage, splitKeys } from './read.ts'
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
}

/**
 * Makes a source from a model: its rows are the documents, with what `include` adds.
 *
 * Options mean what they mean in `Model.findAll`; scopes, default scope and paranoid are respected. `order` sorts the
 * arrays of included models (by their key where it is silent); documents come in key order. Nothing is read here, and
 * associations may be set up later. Where no `document`, getter, virtual attribute, find hook or expression asks for
 * instances, PostgreSQL makes the documents itself.
 *
 * What a literal or a function in a condition reads from other tables is not known: changes there concern no document.
 * With `document`, `count` makes every document, because only that tells which rows have one.
 *
 * Throws `DEFINITION_INVALID` when it is given no model. Using the source throws `SOURCE_INVALID` for a model without
 * primary key, an include that is no association, an attribute, column or table that does not exist, and options that
 * leave out rows by number (`limit`, `offset`).
 */
export function fromModel<M extends Model>(model: ModelStatic<M>, options: FromModelOptions<M> = {}): SequelizeSource {
  assertModel(model)
  const { document, ...finder } = options
  const readings = keepReading(() => resolvePlan(model, finder), document as MakeDocument | undefined)
  return {
    table: tableOf(model),
    sequelize: model.sequelize!,
    get tables() {
      return readings.plan().reads.map((each) => each.table)
    },
    get reads() {
      return readings.plan().reads.map((each) => widened(each, readings.known()))
    },
    async dependencies(db) {
      const { plan, catalog } = await readings.prepare(db)
      return dependenciesOf(plan, catalog)
    },
    page: (db, range, size, version) =>
      readings.using(db, (reading) => readPage(db, reading, range, size, checked(version))),
    byKeys: (db, keys, version) => readings.using(db, (reading) => readKeys(db, reading, keys, checked(version))),
    count: (db) => readings.using(db, (reading) => countDocuments(db, reading)),
    split: (db, parts) => readings.using(db, (reading) => splitKeys(db, reading, parts)),
  }
}

interface Readings {
  plan(): Plan
  /** The last reading, when there is one. */
  known(): Reading | undefined
  /** Reads the catalog anew. */
  prepare(db: Queryable): Promise<Reading>
  /** Works with the kept reading. */
  using<T>(db: Queryable, work: (reading: Reading) => Promise<T>): Promise<T>
}

function keepReading(resolve: () => Plan, document: MakeDocument | undefined): Readings {
  let plan: Plan | undefined
  let kept: Promise<Reading> | undefined
  let known: Reading | undefined
  const planned = () => plan ??= resolve()
  const prepare = async (db: Queryable) => {
    known = await prepareReading(db, planned(), document)
    return known
  }
  const keep = (db: Queryable) => {
    const made = prepare(db)
    kept = made
    // A failure is not kept: a migration may create what is missing.
    made.catch(() => {
      if (kept === made) kept = undefined
    })
    return made
  }
  return {
    plan: planned,
    known: () => known,
    prepare: keep,
    async using(db, work) {
      const fresh = kept === undefined
      const reading = await (kept ?? keep(db))
      try {
        return await work(reading)
      } catch (error) {
        // A migration may have changed a type or a column under a running process: look again, once.
        if (fresh || !/^(22|42)/.test(sqlState(error))) throw error
        return await work(await keep(db))
      }
    },
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
