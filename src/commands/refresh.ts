/**
 * Complete versions brought up to date as recorded parts of a command.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Db, Queryable } from '../ports.ts'
import { markNow } from '../queue/changes.ts'
import { enqueue } from '../queue/pending.ts'
import { startWorker } from '../queue/worker.ts'
import type { Definition } from '../search/definition.ts'
import { refreshDependencies } from '../search/dependencies.ts'
import type { LoadOptions } from '../search/load.ts'
import { assertPhysical } from '../search/physical.ts'
import { countKeys } from '../search/refresh-keys.ts'
import { type RefreshDeps, refreshVersion } from '../search/refresh.ts'
import { doneBy, type Rows } from '../search/refresh-state.ts'
import { readVersion, type Version } from '../search/versions.ts'
import type { Base } from './base.ts'
import { type Choosing, rowsOf } from './choice.ts'
import { updateName } from './fill.ts'
import type { Run } from './run.ts'

/** How to refresh. */
export interface RefreshLimits {
  /** True begins anew where an interrupted one could be gone on with. */
  full: boolean
  load: LoadOptions
}

/**
 * Brings the chosen rows of a complete version up to date while it serves, unless somebody else did so while this command
 * waited for the run lock.
 */
export async function refreshRecorded(
  base: Base,
  run: Run,
  version: Version,
  definition: Definition,
  choice: Choosing,
  limits: RefreshLimits,
): Promise<Version> {
  const { store } = base
  assertKept(version)
  await assertPhysical(base.needSearch(), version)
  const rows = await rowsOf(store, version, definition.source, choice, run.say)
  const other = await doneBy(store, run.action.id, version.physical, rows)
  if (other !== undefined) {
    run.say(`${version.physical}: brought up to date by ${other} meanwhile, nothing to do`)
    return version
  }
  await refreshDependencies(base.lifecycle(run), version, definition)
  const expected = await countRows(base, version, definition, rows)
  const about = { action: updateName, target: version.physical }
  await run.part(about, async (part) => {
    await base.tellTag(version, part.say)
    part.say(
      `${version.physical}: ${rows.kind === 'captured' ? 'what was captured is written' : `updating ${expected} rows`}`,
    )
    const options = { rows, anew: limits.full, expected }
    await refreshVersion(refreshDeps(base, part, limits.load), part.action, version, definition, options)
    part.say(`${version.physical}: up to date`)
  })
  return await readVersion(store, version.id)
}

function assertKept({ physical, abandonedAt, index }: Version): void {
  if (abandonedAt === null) return
  throw new ElasticUmzugError('VERSION_ABANDONED', `${physical} was given up and gets no changes any more.`, {
    next: `npx umzug es:create ${index} --force, then npx umzug es:update ${index} --latest`,
  })
}

/** About how many rows that are. */
export async function countRows(
  { db }: Base,
  version: Version,
  { source }: Definition,
  rows: Rows,
): Promise<number> {
  if (rows.kind === 'captured') return 0
  if (rows.kind === 'keys') return rows.keys.length
  return rows.kind === 'all' ? version.rowsExpected ?? await source.count(db) : await countKeys(db, source, rows)
}

function refreshDeps(base: Base, run: Run, load: LoadOptions): RefreshDeps {
  const { store } = base
  const given = base.workerOptions()
  const options = { ...given, batchSize: Math.min(given.batchSize, load.batchSize ?? Infinity) }
  return {
    ...base.lifecycle(run),
    load,
    async enqueue(on, versionId, keys) {
      // Drawn before the keys are there: whoever drains from now on waits for them.
      const origin = await markNow(store)
      await enqueue({ ...store, db: within(store.db, on) }, versionId, keys, { origin, madeAt: 'now' })
    },
    async waiting(versionId, most) {
      const [row] = await store.db.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM (
           SELECT FROM ${store.table.pending} WHERE version_id = $1 AND due_at < 'infinity' LIMIT $2) p`,
        [versionId, most],
      )
      return row!.count
    },
    working: (version) => startWorker({ ...options, only: [version.id] }),
  }
}

function within(db: Db, on: Queryable): Db {
  return { ...db, query: (sql, values) => on.query(sql, values) }
}
