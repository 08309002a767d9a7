/**
 * A look into the documents of a version that was copied: what was wrong with the other one would be so here.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Source } from '../ports.ts'
import { faultOf } from './compare.ts'
import { sample } from './sample.ts'
import { storesAsSent } from './settings.ts'
import type { VerifyDeps } from './verify.ts'
import type { Version } from './versions.ts'

/** Rows and documents that are compared: enough to find what is wrong with one in a hundred. */
const sampled = 500

/** Compares some documents with their rows by content. Throws `VERIFY_FAILED`. */
export async function verifyCopy(deps: VerifyDeps, version: Version, source: Source): Promise<void> {
  const contents = storesAsSent(version.definition)
  const { found } = await sample({ ...deps, version, source, contents }, sampled)
  if (found.length === 0) return
  const first = found.slice(0, 5).map((each) => `\n  ${each.key}: ${faultOf(each)}`).join('')
  throw new ElasticUmzugError('VERIFY_FAILED', `${version.physical} differs from its rows.${first}`, {
    next: 'npx umzug es:verify --repair',
  })
}
