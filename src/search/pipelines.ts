/**
 * Ingest pipelines that documents of an index go through.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { SearchClient } from '../ports.ts'
import { assertAnswer } from './bulk.ts'
import { pipelinesOf } from './settings.ts'
import type { Version } from './versions.ts'

/**
 * Throws `MAPPING_REFUSED` when a pipeline that the settings name is not there: Elasticsearch would make the index, and refuse
 * every document. Who may not read pipelines is not hindered.
 */
export async function assertPipelines(search: SearchClient, { index, definition }: Version): Promise<void> {
  for (const name of pipelinesOf(definition)) {
    const { status, body } = await search.request({
      method: 'GET',
      path: `/_ingest/pipeline/${encodeURIComponent(name)}`,
    })
    if (status === 401 || status === 403) continue
    if (status !== 404) {
      assertAnswer(status, body, `to look up pipeline ${name}`)
      continue
    }
    throw new ElasticUmzugError(
      'MAPPING_REFUSED',
      `The settings of index "${index}" name the ingest pipeline "${name}", which the cluster does not have.`,
      { next: `create it (PUT _ingest/pipeline/${name}), or correct the settings of "${index}", then: npx umzug up` },
    )
  }
}
