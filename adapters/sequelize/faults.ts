/**
 * The error of a source that cannot be read.
 * @module
 */
import { ElasticUmzugError } from '../../src/errors.ts'

/** Makes a `SOURCE_INVALID` error: which source, what of it, what to edit. */
export function sourceError(
  model: { name: string },
  what: string,
  next: string,
  cause?: unknown,
): ElasticUmzugError {
  return new ElasticUmzugError('SOURCE_INVALID', `The source fromModel(${model.name}) cannot be read: ${what}.`, {
    next,
    cause,
  })
}
