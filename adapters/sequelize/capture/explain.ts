/**
 * Errors of statements that record, said in our own words.
 * @module
 */
import { ElasticUmzugError } from '../../../src/errors.ts'
import { recordName } from '../../../src/store/record.ts'

/** Throws `SCHEMA_MISSING` when the own table of changes, the function, or the schema with both is gone; else the error itself. */
export function explain(error: unknown, schema: string): never {
  const { code = '', message = '' } = (error as { parent?: { code?: string; message?: string } }).parent ?? {}
  const isGone = code === '42P01' && message.includes(`"${schema}.`) ||
    code === '42883' && message.includes(`${recordName}(`) ||
    code === '3F000' && message.includes(`"${schema}"`)
  if (!isGone) throw error
  throw new ElasticUmzugError(
    'SCHEMA_MISSING',
    `A write was refused: its change cannot be recorded in the schema ${schema}.`,
    { next: 'npx umzug up', cause: error },
  )
}
