/**
 * Whether rows and documents are the same, and nothing is there that should not be.
 * @module
 */
import { differences } from '../support/checker.ts'
import type { Library } from '../support/library.ts'

/** A version that is live: what it holds has to be right. */
interface Live {
  physical: string
  index: 'books' | 'editions'
  revision: number
}

/** Live versions that are complete. */
async function liveVersions(library: Library): Promise<Live[]> {
  return await library.sql<Live>(
    `SELECT v.physical, i.name AS index,
       CASE WHEN v.definition::text LIKE '%"country"%' THEN 2 ELSE 1 END AS revision
     FROM elastic_umzug.index_versions v JOIN elastic_umzug.indexes i ON i.id = v.index_id
     WHERE v.state IN ('ready', 'active', 'retired') ORDER BY v.id`,
  )
}

/** Lines about what is wrong; empty when all is right. */
export async function check(library: Library): Promise<string[]> {
  const live = await liveVersions(library)
  const lines: string[] = []
  for (const { physical, index, revision } of live) {
    lines.push(...await differences(library, physical, { rows: index, revision }))
  }
  const known = new Set(live.map((each) => each.physical))
  for (const each of await physicals(library)) if (!known.has(each)) lines.push(`${each}: an index that nobody made`)
  for (const index of ['books', 'editions']) lines.push(...await checkAlias(library, index, known))
  return lines
}

async function physicals(library: Library): Promise<string[]> {
  const index = ['books', 'editions'].map((each) => `${library.prefix}${each}-*`)
  return Object.keys(await library.client.indices.get({ index, expand_wildcards: 'all', features: ['aliases'] }))
}

async function checkAlias(library: Library, index: string, known: ReadonlySet<string>): Promise<string[]> {
  const targets = Object.keys(await library.client.indices.getAlias({ name: `${library.prefix}${index}` }))
  if (targets.length === 1 && known.has(targets[0]!)) return []
  return [`the alias ${index} points at ${targets.join(', ') || 'nothing'}`]
}

/** Drops what builders left half-made, and the indexes of dropped versions. */
export async function clear(library: Library): Promise<void> {
  await library.sql(
    `UPDATE elastic_umzug.index_versions SET state = 'dropped' WHERE state IN ('created', 'populating')`,
  )
  const dropped = await library.sql<{ physical: string }>(
    `SELECT physical FROM elastic_umzug.index_versions WHERE state = 'dropped'`,
  )
  if (dropped.length === 0) return
  const index = dropped.map((each) => each.physical)
  for (const each of index) await library.client.indices.delete({ index: each }, { ignore: [404] })
}

/** Drops all but the active version of each index, and the newest other one: each that lives makes every write dearer. */
export async function dropSpares(library: Library): Promise<void> {
  await library.sql(
    `UPDATE elastic_umzug.index_versions SET state = 'dropped' WHERE id IN (
       SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY index_id ORDER BY id DESC) AS place
         FROM elastic_umzug.index_versions WHERE state IN ('ready', 'retired')) v WHERE place > 1)`,
  )
  await clear(library)
}

/** What still has to be written for live versions; a line each. */
export async function unwritten(library: Library): Promise<string[]> {
  const rows = await library.sql<{ line: string }>(
    `SELECT format('change %s of %s', c.id, c.table_name) AS line FROM elastic_umzug.changes c
       WHERE version_id IS NULL OR version_id IN (SELECT id FROM elastic_umzug.index_versions WHERE state <> 'dropped')
     UNION ALL SELECT format('pending %s of %s: attempts %s, aborted %s, %s, due in %s', p.key, v.physical, p.attempts,
       p.aborted_at, p.error, p.due_at - clock_timestamp())
     FROM elastic_umzug.pending p JOIN elastic_umzug.index_versions v ON v.id = p.version_id WHERE v.state <> 'dropped'`,
  )
  return rows.map((each) => each.line)
}
