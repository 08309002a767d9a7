/**
 * Verifies a populated version: as many documents as rows, or else the same keys, while writes go on.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Clock, Queryable, SearchClient, Source } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { differences } from './compare-pages.ts'
import { type Difference, faultOf } from './compare.ts'
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
}

const tries = 3
const shown = 5

/**
 * Compares the numbers of rows and documents. Rows written between the two counts make them differ, so where they never
 * agree the keys are compared one by one, and those that differ after the queue was drained past them are the fault.
 * Throws `VERIFY_FAILED` with their names.
 */
export async function verify(deps: VerifyDeps, version: Version, source: Source): Promise<Counts> {
  const counts = await countBoth(deps, version, source)
  if (counts.rows === counts.documents) return counts
  const faults = await differingKeys(deps, version, source)
  if (faults.length === 0) return counts
  const first = faults.map((each) => `\n  ${each.key}: ${faultOf(each)}`).join('')
  throw new ElasticUmzugError(
    'VERIFY_FAILED',
    `${version.physical} has ${counts.documents} documents, its source gives ${counts.rows} rows.${first}`,
    { next: 'npx umzug queue:status, then npx umzug up: it verifies again' },
  )
}

/** Counts rows and documents, three times at most, until the numbers agree: rows are written between the two counts. */
export async function countBoth(deps: VerifyDeps, version: Version, source: Source): Promise<Counts> {
  for (let tried = 1;; tried++) {
    await deps.drain()
    await refresh(deps.search, version.physical)
    const documents = await countDocuments(deps.search, version.physical) ?? 0
    const rows = await countFor(source, deps.store.db, documents)
    if (rows === documents || tried === tries) return { rows, documents }
    await deps.clock.sleep(100 * tried)
  }
}

// Where every row has its document, their number tells it. Only where it does not, all documents are made to be counted.
async function countFor(source: Source, db: Queryable, documents: number): Promise<number> {
  return await source.countRows?.(db) === documents ? documents : await source.count(db)
}

// The first ones are enough to tell that something is wrong.
async function differingKeys(deps: VerifyDeps, version: Version, source: Source): Promise<Difference[]> {
  const { store, search, drain } = deps
  const comparison = { store, search, version, source, contents: false, drain }
  const found: Difference[] = []
  for await (const part of differences(comparison, { onPage: () => Promise.resolve() })) {
    found.push(...part.found)
    if (found.length >= shown) break
  }
  return found.slice(0, shown)
}
