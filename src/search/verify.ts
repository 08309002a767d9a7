/**
 * Compares an index with its source while writes go on.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Clock, Documents, SearchClient, Source } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { documentKeys, existingKeys } from './keys.ts'
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
const rechecks = 5
const pageSize = 1_000
const maxSuspects = 100_000

/**
 * Compares the numbers of rows and documents. Rows written between the two counts make them differ, so where they never
 * agree the keys are compared one by one, and those that differ again and again are the fault.
 * Throws `VERIFY_FAILED` with their names.
 */
export async function verify(deps: VerifyDeps, version: Version, source: Source): Promise<Counts> {
  let counts: Counts = { rows: 0, documents: 0 }
  for (let tried = 1; tried <= tries; tried++) {
    await deps.drain()
    await refresh(deps.search, version.physical)
    const documents = await countDocuments(deps.search, version.physical) ?? 0
    counts = { documents, rows: await source.count(deps.store.db) }
    if (counts.rows === counts.documents) return counts
    await deps.clock.sleep(100 * tried)
  }
  const faults = await compareKeys(deps, version, source)
  if (faults.length === 0) return counts
  const first = faults.slice(0, 5).map(({ key, fault }) => `\n  ${key}: ${fault}`).join('')
  throw new ElasticUmzugError(
    'VERIFY_FAILED',
    `${version.physical} has ${counts.documents} documents, its source gives ${counts.rows} rows.${first}`,
    { next: 'npx umzug queue:status, then npx umzug up: it verifies again' },
  )
}

interface Fault {
  key: string
  fault: 'has a row but no document' | 'has a document but no row'
}

async function compareKeys(deps: VerifyDeps, version: Version, source: Source): Promise<Fault[]> {
  let suspects = await allSuspects(deps, version, source)
  for (let tried = 1; suspects.length > 0 && tried <= rechecks; tried++) {
    await deps.clock.sleep(100 * tried)
    await deps.drain()
    const still: Fault[] = []
    for (let at = 0; at < suspects.length; at += pageSize) {
      still.push(...await differing(deps, version, source, suspects.slice(at, at + pageSize).map((each) => each.key)))
    }
    suspects = still
  }
  return suspects
}

async function allSuspects(deps: VerifyDeps, version: Version, source: Source): Promise<Fault[]> {
  const suspects: Fault[] = []
  const add = async (keys: readonly string[]) => {
    if (suspects.length < maxSuspects) suspects.push(...await differing(deps, version, source, keys))
  }
  for await (const keys of documentKeys(deps.search, version.physical, pageSize)) await add(keys)
  for await (const keys of rowKeys(deps, source)) await add(keys)
  return suspects
}

async function* rowKeys({ store }: VerifyDeps, source: Source): AsyncGenerator<string[]> {
  for (let after: string | null = null;;) {
    const page: Documents = await source.page(
      store.db,
      { after, upTo: null },
      { rows: pageSize, bytes: 2_000_000 },
      '1',
    )
    if (page.last === null) return
    yield idsOf(page)
    after = page.last
  }
}

/** Keys of the documents of a page, from its lines: a page tells only its last one. */
export function idsOf({ body }: Pick<Documents, 'body'>): string[] {
  return body.split('\n').filter((line, at) => at % 2 === 0 && line !== '')
    .map((line) => (JSON.parse(line) as { index: { _id: string } }).index._id)
}

// The document first: a row that is written between the two is a new one, and asked for again.
async function differing(
  deps: VerifyDeps,
  version: Version,
  source: Source,
  keys: readonly string[],
): Promise<Fault[]> {
  const existing = await existingKeys(deps.search, version.physical, keys)
  const rows = await source.byKeys(deps.store.db, keys, '1')
  const present = new Set([...rows.keys, ...(rows.failed ?? []).map((each) => each.key)])
  return keys.flatMap((key): Fault[] => {
    if (present.has(key) === existing.has(key)) return []
    return [{ key, fault: present.has(key) ? 'has a row but no document' : 'has a document but no row' }]
  })
}
