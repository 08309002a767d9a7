/**
 * Which rows an update is about: dates and keys as users give them.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'

/** ISO text of a date as JavaScript reads it. Throws `COMMAND_INVALID` for one that is none, or that is to come. */
export function assertDate(given: string | Date): string {
  const at = given instanceof Date ? given.getTime() : Date.parse(given)
  if (Number.isNaN(at)) {
    throw new ElasticUmzugError('COMMAND_INVALID', `"${String(given)}" is no date.`, {
      next: 'write it as 2026-11-25, 2026-11-25T10:00 (local time) or 2026-11-25T10:00:00Z',
    })
  }
  return new Date(at).toISOString()
}
