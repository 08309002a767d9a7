/**
 * What `fromQuery` is given, and the errors about it.
 * @module
 */
import { ElasticUmzugError } from '../../src/errors.ts'
import type { Table } from '../../src/ports.ts'

/**
 * Which documents a changed row of a table concerns: those whose key stands in columns of the row (`key`, in the order of
 * the key), those that a query finds from the relation `changed` (`keys`), or none (`false`).
 */
export type DependsOn =
  | { key: string | readonly string[]; keys?: undefined }
  | { keys: string; key?: undefined }
  | false

/** A source made from SQL. */
export interface FromQueryOptions {
  /** The table whose rows are documents: `name`, or `schema.name` where it is not in `public`. */
  table: string
  /**
   * Columns that make the `_id` of a document instead of the primary key: not null, with a unique index among them. When
   * a value of them changes, the document gets another `_id`, and the old one is deleted.
   */
  key?: string | readonly string[]
  /**
   * The column whose value is the routing of the document; not null. It leads the `_id` (`7,123`) where it is no part of it
   * anyhow, so that no `_id` is ever in two shards. Only together with `key`.
   */
  routing?: string
  /** The column of `table` that tells when a row was changed, for `es:update --since`. */
  updatedAt?: string
  /**
   * One SELECT that gives at most one row for each row of the relation `keys`, which has the columns of the key, and of the
   * routing, and gives them too. Its columns are the fields of the document; a key without a row has no document.
   */
  query: string
  /**
   * For every other table that the query reads, and for `table` itself where other rows of it are read: which documents
   * a changed row concerns. `changed` has all columns of the table, of rows as they were and as they are.
   */
  dependsOn?: Readonly<Record<string, DependsOn>>
  /**
   * Makes the document from the row as JSON gives it; may be asynchronous. Nothing (undefined or null) means that the row
   * has no document. When it throws, this document alone is held back and tried again.
   */
  document?: (row: Record<string, unknown>) => unknown
}

/** The options, checked as far as that goes without the database. */
export interface QueryOptions {
  table: Table
  /** Undefined is the primary key. */
  key: readonly string[] | undefined
  routing: string | undefined
  updatedAt: string | undefined
  query: string
  dependsOn: readonly { table: Table; given: DependsOn }[]
  document: FromQueryOptions['document']
}

/** Checks the options. Throws `DEFINITION_INVALID`. */
export function checkOptions(options: FromQueryOptions): QueryOptions {
  const { table, key, routing, updatedAt, query, dependsOn = {}, document } = options ?? {}
  if (!isText(table)) throw invalid('fromQuery()', '`table` is no name of a table')
  const where = `fromQuery(${table})`
  if (key !== undefined && !isColumns(key)) {
    throw invalid(where, '`key` is neither a name nor a list of names of columns')
  }
  if (routing !== undefined && !isText(routing)) throw invalid(where, '`routing` is no name of a column')
  if (routing !== undefined && key === undefined) throw invalid(where, '`routing` is given without `key`')
  if (updatedAt !== undefined && !isText(updatedAt)) throw invalid(where, '`updatedAt` is no name of a column')
  if (!isText(query)) throw invalid(where, '`query` is no SQL')
  const wrong = Object.entries(dependsOn).find(([, given]) => !isDependsOn(given))
  if (wrong) throw invalid(where, `\`dependsOn.${wrong[0]}\` is neither { key: … }, { keys: 'SELECT …' } nor false`)
  if (document !== undefined && typeof document !== 'function') throw invalid(where, '`document` is no function')
  return {
    table: tableOf(table),
    key: key === undefined ? undefined : [key].flat(),
    routing,
    updatedAt,
    // Ours goes around it, and a semicolon would end that.
    query: withoutEnd(query),
    dependsOn: Object.entries(dependsOn).map(([name, given]) => ({ table: tableOf(name), given: ended(given) })),
    document,
  }
}

/** Makes a `SOURCE_INVALID` error: which source, what of it, what to edit. */
export function queryError(table: Table, what: string, next: string, cause?: unknown): ElasticUmzugError {
  return new ElasticUmzugError(
    'SOURCE_INVALID',
    `The source fromQuery(${nameOf(table)}) cannot be read: ${what.replace(/\.$/, '')}.`,
    { next, cause },
  )
}

/** The name of a table as the options give it. */
export function nameOf({ schema, name }: Table): string {
  return schema === 'public' && !name.includes('.') ? name : `${schema}.${name}`
}

function tableOf(given: string): Table {
  const at = given.indexOf('.')
  return at < 0 ? { schema: 'public', name: given } : { schema: given.slice(0, at), name: given.slice(at + 1) }
}

function withoutEnd(sql: string): string {
  return sql.replace(/[\s;]+$/, '')
}

function ended(given: DependsOn): DependsOn {
  return given && given.keys !== undefined ? { keys: withoutEnd(given.keys) } : given
}

function isDependsOn(given: unknown): given is DependsOn {
  if (given === false) return true
  const { key, keys } = (given ?? {}) as { key?: unknown; keys?: unknown }
  if (key === undefined) return isText(keys)
  return keys === undefined && isColumns(key)
}

function isColumns(given: unknown): boolean {
  return Array.isArray(given) ? given.length > 0 && given.every(isText) : isText(given)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}

function invalid(where: string, what: string): ElasticUmzugError {
  return new ElasticUmzugError('DEFINITION_INVALID', `${where} is wrong: ${what}.`, {
    next: 'correct it in the config file',
  })
}
