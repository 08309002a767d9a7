/**
 * `es:list`: what is known of every version.
 * @module
 */
import { countDocuments } from '../search/physical.ts'
import { listVersions, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base } from './base.ts'
import { queuesOf } from './queue.ts'

/** A version with what is known of it in the cluster and in the queue. */
export interface VersionStatus extends Version {
  /** Documents visible now; null when that is not known, because the cluster does not answer or the index is lost. */
  documents: number | null
  /** True when the cluster answers that it has no such physical index. */
  lost: boolean
  /** Keys that still have to be written. */
  backlog: number
  /** Age of the oldest of them in milliseconds. */
  lagMs: number
  /** Documents that ran out of attempts. */
  aborted: number
}

/** Every version that is not dropped. Throws `SCHEMA_MISSING`. */
export async function listStatus(base: Base): Promise<VersionStatus[]> {
  await checkSchema(base.store)
  const versions = await listVersions(base.store, base.prefix)
  const queues = await queuesOf(base.store, versions)
  return await Promise.all(versions.map(async (version, at) => {
    const { backlog, lagMs, aborted } = queues[at]!
    return { ...version, ...await documentsOf(base, version), backlog, lagMs, aborted }
  }))
}

// A cluster that is away hides nothing that the own tables know.
async function documentsOf(
  { search }: Base,
  { physical }: Version,
): Promise<{ documents: number | null; lost: boolean }> {
  const documents = search ? await countDocuments(search, physical).catch(() => null) : null
  return { documents: documents ?? null, lost: documents === undefined }
}
