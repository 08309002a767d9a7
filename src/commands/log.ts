/**
 * The audit log, as the command and the methods give it.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { type ActionRow, type ActionTree, listActions, type LogFilter, readAction } from '../store/action-log.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base } from './base.ts'
import { assertDate } from './choice.ts'

/** Recorded actions, newest first; a number is how many. Throws `SCHEMA_MISSING`, `COMMAND_INVALID` for a date that is none. */
export async function readLog({ store }: Base, options: number | LogFilter = {}): Promise<ActionRow[]> {
  await checkSchema(store)
  const filter = typeof options === 'number' ? { limit: options } : options
  return await listActions(store, { ...filter, ...(filter.since && { since: assertDate(filter.since) }) })
}

/** One action with its parts. Throws `ACTION_UNKNOWN`. */
export async function readOne({ store }: Base, id: string): Promise<ActionTree> {
  await checkSchema(store)
  const action = /^\d{1,18}$/.test(id) ? await readAction(store, id) : undefined
  if (action) return action
  throw new ElasticUmzugError('ACTION_UNKNOWN', `There is no recorded action "${id}".`, { next: 'npx umzug log' })
}
