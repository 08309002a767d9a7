/**
 * Versions filled as recorded parts of a command.
 * @module
 */
import type { Definition } from '../search/definition.ts'
import { fillVersion, type LifecycleDeps } from '../search/lifecycle.ts'
import { countKilled } from '../search/fill-counts.ts'
import { firstFill, lastUpdate, settledMoment } from '../search/since.ts'
import { activeVersion, isUnfilled, type Version } from '../search/versions.ts'
import type { Base } from './base.ts'
import type { Run } from './run.ts'

/** What a fill takes besides what every command does. */
export type FillLimits = Pick<LifecycleDeps, 'load' | 'copy' | 'force'>

/** The name under which fills and refreshes are recorded, whichever command they are a part of. */
export const updateName = 'es:update'

/**
 * Fills a version until it is ready, as a part of the command; one that is ready or further is given back as it is.
 * Killed, the next command that fills it goes on, and counts what it does itself.
 */
export async function fillRecorded(
  base: Base,
  run: Run,
  version: Version,
  definition: Definition,
  limits: FillLimits = {},
): Promise<Version> {
  const deps = (of: Run): LifecycleDeps => ({ ...base.lifecycle(of), ...limits })
  if (!isUnfilled(version)) {
    return await fillVersion(deps(run), version, definition)
  }
  await countKilled(base.store, version.id, version.physical)
  return await run.part({ action: updateName, target: version.physical }, async (part) => {
    await base.tellTag(version, part.say)
    const from = await firstFill(base.store, version.physical) ?? await fillMoment(base, version, limits)
    await part.action.checkpoint({ from, whole: true, fill: true })
    return await counting(base, part, version, () => fillVersion(deps(part), version, definition))
  })
}

// Where the documents may be copied from the active version, they lack what that lacks.
async function fillMoment({ store, db }: Base, { index, prefix }: Version, { copy }: FillLimits): Promise<string> {
  const now = await settledMoment(db)
  const active = copy === false ? undefined : await activeVersion({ store, prefix }, index)
  if (!active) return now
  const last = await lastUpdate(store, active.physical) ?? active.createdAt
  return Date.parse(last) < Date.parse(now) ? last : now
}

/** Counts what this process populates of a version meanwhile. */
export async function counting<T>(base: Base, { action }: Run, version: Version, work: () => Promise<T>): Promise<T> {
  const off = base.emitter.on('populate:page:complete', (page) => {
    if (page.index === version.index && page.version === version.number) action.count('documents', page.documents)
  })
  return await work().finally(off)
}
