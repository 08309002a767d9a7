/**
 * Which rows an update is about, as users say it.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Source } from '../ports.ts'
import type { Rows } from '../search/refresh-state.ts'
import { lastUpdate } from '../search/since.ts'
import type { Version } from '../search/versions.ts'
import type { Store } from '../store/store.ts'

/** Which rows are updated; by default all. */
export interface ChoiceOptions {
  /**
   * Rows changed since then: a date, or `last`, the beginning of the last complete update of the version. By the source's
   * `updatedAt` where it has one; without, what was captured is brought up to date, and nothing else.
   */
  since?: string | Date
  /** Rows that meet a condition: Sequelize's `where` on the model of the source; in JSON `$gt` stands for `Op.gt`. */
  where?: unknown
  /** Documents with these keys. */
  ids?: readonly string[]
}

/** The same, checked. */
export interface Choosing {
  /** ISO time. */
  since?: string
  where?: unknown
  ids?: readonly string[]
}

/** Checks what was chosen. Throws `COMMAND_INVALID`. */
export function checkChoice({ since, where, ids }: ChoiceOptions): Choosing {
  if (ids && (since !== undefined || where !== undefined)) {
    throw invalid('--ids names the rows: leave out --since and --where')
  }
  if (ids?.length === 0) throw invalid('--ids names no row')
  if (where !== undefined && (typeof where !== 'object' || where === null)) {
    throw invalid('--where is no condition', `as in --where '{"published": true, "pages": {"$gt": 100}}'`)
  }
  return {
    ...(since !== undefined && { since: since === 'last' ? since : assertDate(since) }),
    ...(where !== undefined && { where }),
    ...(ids && { ids }),
  }
}

/** ISO text of a date as JavaScript reads it. Throws `COMMAND_INVALID` for one that is none. */
export function assertDate(given: string | Date): string {
  const at = given instanceof Date ? given.getTime() : Date.parse(given)
  if (Number.isNaN(at)) {
    throw invalid(
      `"${String(given)}" is no date`,
      'write it as 2026-11-25, 2026-11-25T10:00 (local time) or 2026-11-25T10:00:00Z',
    )
  }
  return new Date(at).toISOString()
}

/** The error for options of an update that cannot be meant. */
export function invalid(what: string, next: string = 'npx umzug es:update --help'): ElasticUmzugError {
  return new ElasticUmzugError('COMMAND_INVALID', `${what}.`, { next })
}

/** The rows of a complete version that were chosen; `say` is told where that is not what was asked for. */
export async function rowsOf(
  store: Store,
  version: Version,
  source: Source,
  { since, where, ids }: Choosing,
  say: (line: string) => void,
): Promise<Rows> {
  if (ids) return { kind: 'keys', keys: ids }
  if (where !== undefined && !source.keys) throw invalid(`The source of index "${version.index}" takes no condition`)
  if (since === undefined) return where === undefined ? { kind: 'all' } : { kind: 'chosen', where }
  const last = await lastUpdate(store, version.physical)
  const from = since === 'last' ? last : since
  if (from === undefined) {
    say(`${version.physical}: no update of it is complete: every row is read`)
    return where === undefined ? { kind: 'all' } : { kind: 'chosen', where }
  }
  if (!source.knowsChanges || !source.keys) {
    if (where !== undefined) {
      throw invalid(`The source of index "${version.index}" does not know when a row was changed`)
    }
    say(`${version.physical}: its source has no \`updatedAt\`: what was captured is brought up to date`)
    return { kind: 'captured' }
  }
  say(`${version.physical}: rows changed since ${from}`)
  const isLast = where === undefined && last !== undefined && Date.parse(from) <= Date.parse(last)
  return { kind: 'chosen', since: from, ...(where !== undefined && { where }), ...(isLast && { isLast }) }
}
