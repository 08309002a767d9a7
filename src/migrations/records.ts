/**
 * What we know of each migration beside the history: start, end, error, checksum.
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Queryable, Runtime } from '../ports.ts'
import type { Store } from '../store/store.ts'
import type { MigrationId } from './context.ts'
import type { Direction } from './failure.ts'

/** One migration that was begun by us. */
export interface MigrationRecord {
  /** File name with extension. */
  name: string
  /** The way it was run last. */
  direction: Direction
  /** SHA-256 of the file that is executed; null when none is, and for a migration without a file. */
  checksum: string | null
  startedAt: string
  /** Null while it runs, and after a crash. */
  endedAt: string | null
  error: string | null
}

/** Every record. */
export async function listRecords(store: Store): Promise<MigrationRecord[]> {
  return await store.db.query<MigrationRecord & Record<string, unknown>>(
    `SELECT name, direction, checksum, to_json(started_at) #>> '{}' AS "startedAt",
       to_json(ended_at) #>> '{}' AS "endedAt", error
     FROM ${store.table.migration_records} ORDER BY name`,
  )
}

/** Records the start; a crash leaves it without end. What was executed before stays so until this run went through. */
export async function startRecord(store: Store, name: string, direction: Direction): Promise<void> {
  await store.db.query(
    `INSERT INTO ${store.table.migration_records} (name, direction, started_at) VALUES ($1, $2, clock_timestamp())
     ON CONFLICT (name) DO UPDATE
       SET direction = excluded.direction, started_at = excluded.started_at, ended_at = NULL, error = NULL`,
    [name, direction],
  )
}

/** Records that it went through, with the checksum of the file that is executed from now on. */
export async function endRecord(on: Queryable, store: Store, name: string, checksum: string | null): Promise<void> {
  await on.query(
    `UPDATE ${store.table.migration_records} SET ended_at = clock_timestamp(), checksum = $2 WHERE name = $1`,
    [name, checksum],
  )
}

/** Records that it threw. */
export async function failRecord(store: Store, name: string, error: string): Promise<void> {
  await store.db.query(
    `UPDATE ${store.table.migration_records} SET ended_at = clock_timestamp(), error = $2 WHERE name = $1`,
    [name, error],
  )
}

/** SHA-256 of a file, the same whatever its line endings; null without a file. */
export async function checksumOf(runtime: Runtime, path: string | undefined): Promise<string | null> {
  if (path === undefined || !await runtime.exists(path)) return null
  const text = await runtime.readText(path)
  return bytesToHex(sha256(utf8ToBytes(text.replaceAll('\r\n', '\n'))))
}

/** Checksums, as they are now, of the files that have a record; by name. */
export async function checksumsOf(
  runtime: Runtime,
  migrations: readonly MigrationId[],
  records: readonly MigrationRecord[],
): Promise<Map<string, string | null>> {
  const recorded = new Set(records.map((each) => each.name))
  const checksums = new Map<string, string | null>()
  for (const { name, path } of migrations) if (recorded.has(name)) checksums.set(name, await checksumOf(runtime, path))
  return checksums
}
