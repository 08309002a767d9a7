/**
 * Compares the number of documents with the number of rows, while writes go on.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Clock, SearchClient, Source } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { countDocuments, refresh } from './physical.ts'
import type { Version } from './versions.ts'

/** What a check found. */
export interface Counts {
  rows: number
  documents: number
}

/** What verifying needs. */
export interface VerifyDeps {
  store: Store
  search: SearchClient
  clock: Clock
  /** Brings the version up to now. */
  drain: () => Promise<unknown>
  /** Number that grows with every captured change. */
  mark: () => Promise<string>
}

const tries = 10

/**
 * Counts until rows and documents agree. A row that is written between the two counts makes them differ by one;
 * so a difference that is not larger than the number of changes captured meanwhile is no fault. Throws
 * `VERIFY_FAILED` when they never agree.
 */
export async function verifyCounts(deps: VerifyDeps, version: Version, source: Source): Promise<Counts> {
  let counts: Counts = { rows: 0, documents: 0 }
  for (let tried = 0; tried < tries; tried++) {
    const before = BigInt(await deps.mark())
    await deps.drain()
    await refresh(deps.search, version.physical)
    const documents = await countDocuments(deps.search, version.physical) ?? 0
    counts = { documents, rows: await source.count(deps.store.db) }
    const captured = Number(BigInt(await deps.mark()) - before)
    const difference = Math.abs(counts.rows - counts.documents)
    // A bulk change may concern many rows at once, so a busy queue is asked again before it is believed.
    if (difference === 0 || (tried >= tries / 2 && difference <= captured)) return counts
    await deps.clock.sleep(100 * (tried + 1))
  }
  throw new ElasticUmzugError(
    'VERIFY_FAILED',
    `${version.physical} has ${counts.documents} documents, its source gives ${counts.rows} rows.`,
    { next: `npx umzug queue:status, then npx umzug up: it verifies again` },
  )
}
