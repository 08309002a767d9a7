/**
 * Versions of another environment that are recorded in the same database.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Base } from './base.ts'

/** Option of the commands that look at, or act on, another environment. */
export interface PrefixOption {
  /** Prefix of an environment whose versions are recorded in this database. Default: that of the config. */
  prefix?: string | undefined
}

/** The prefix to act on. Throws `COMMAND_INVALID` for one that no version was made with, with those there are. */
export async function prefixOf({ store, prefix }: Base, given: string | undefined): Promise<string> {
  if (given === undefined || given === prefix) return prefix
  const rows = await store.db.query<{ prefix: string }>(
    `SELECT DISTINCT prefix FROM ${store.table.indexes} ORDER BY prefix`,
  )
  if (rows.some((each) => each.prefix === given)) return given
  const known = rows.map((each) => `"${each.prefix}"`).join(', ') || 'none'
  throw new ElasticUmzugError(
    'COMMAND_INVALID',
    `No index of this database was made with prefix "${given}"; there are: ${known}.`,
    { next: 'correct --prefix' },
  )
}
