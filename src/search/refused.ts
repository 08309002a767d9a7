/**
 * The error for documents that ran out of attempts.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { abortedKeys, type Version } from './versions.ts'

/** Names the first of them with the reasons; `command` is what to run when their cause is mended. */
export async function refusedDocuments(
  store: Store,
  { id, physical, index }: Version,
  count: number,
  command: string,
): Promise<ElasticUmzugError> {
  const first = (await abortedKeys(store, id)).map(({ key, reason }) => `\n  ${key}: ${reason}`).join('')
  return new ElasticUmzugError('DOCUMENT_REFUSED', `${physical} lacks ${count} documents that were refused:${first}`, {
    next: `correct the rows, or the mappings or the source of index "${index}", then: ${command}`,
  })
}
