/**
 * Activates versions: the alias is the truth, the rows follow it.
 * @module
 */
import { ElasticUmzugError, isOwnError } from '../errors.ts'
import { aliasTargets, swapAlias } from './aliases.ts'
import type { LifecycleDeps } from './lifecycle.ts'
import { assertPhysical, refresh } from './physical.ts'
import { stopped } from './populate.ts'
import { clearPopulate } from './ranges.ts'
import { endLoading, restoreSettings } from './settings.ts'
import { suspicionOf } from './suspicions.ts'
import {
  isComplete,
  isMadeFrom,
  listDropped,
  listVersions,
  readAlias,
  readVersion,
  recordActive,
  retryAborted,
  type Version,
} from './versions.ts'

/** How long an activation waits for a version that only other processes can bring up to date. */
const catchUpMs = 30_000

/**
 * Rule 9 of the protocol: points the alias at a version that is complete and holds all that was committed before the check began. The alias is
 * the truth: after a crash between its request and the rows, the next command mends the rows.
 * Throws `VERSION_NOT_READY`, `VERSION_BEHIND` or `VERSION_ABANDONED`, and then nothing has changed. With `force`, a version
 * that lacks something is taken all the same, and that is told; not one that nobody keeps up to date any more.
 */
export async function activateVersion(deps: LifecycleDeps, given: Version, force: boolean = false): Promise<void> {
  const version = await readVersion(deps.store, given.id)
  assertKept(version)
  await assertPhysical(deps.search, version)
  const forgiving = forgive(deps, version, force)
  await forgiving(() => assertComplete(version))
  await forgiving(() => assertCaughtUp(deps, version, force))
  await forgiving(() => assertUnsuspected(deps, version))
  if (!isComplete(version)) await giveUpPopulate(deps, version)
  await endLoading(deps.search, version)
  await refresh(deps.search, version.physical)
  deps.assertHeld()
  const before = await swapAlias(deps.search, version)
  if (!(await recordActive(deps.store, version))) throw droppedMeanwhile(version)
  await tellTaken(deps, version, before)
  deps.emitter.emit('version:state:changed', { index: version.index, version: version.number, state: 'active' })
  deps.onLine(`${version.physical}: active, the alias ${readAlias(version)} points at it`)
}

// Only an activation that lost its run lock comes here; whoever deletes the index gives the alias back before.
function droppedMeanwhile({ physical, index }: Version): ElasticUmzugError {
  return new ElasticUmzugError('VERSION_NOT_READY', `${physical} was dropped while it was activated.`, {
    next: `npx umzug es:activate ${index}`,
  })
}

// An application that had an alias of this name before gives it to us here: that must be on record.
async function tellTaken(deps: LifecycleDeps, version: Version, before: readonly string[]): Promise<void> {
  const versions = [...await listVersions(deps.store, deps.prefix), ...await listDropped(deps.store, deps.prefix)]
  const own = new Set(versions.map((each) => each.physical))
  const foreign = before.filter((each) => !own.has(each))
  if (foreign.length > 0) deps.onLine(`${readAlias(version)}: the alias was taken from ${foreign.join(', ')}`)
}

/**
 * Points the alias of the active version at it where somebody moved it or took it away: readers see exactly one
 * complete version. True when that was needed.
 */
export async function keepAlias(deps: LifecycleDeps, version: Version): Promise<boolean> {
  const targets = await aliasTargets(deps.search, readAlias(version))
  if (targets.length === 1 && targets[0] === version.physical) return false
  await assertPhysical(deps.search, version)
  await swapAlias(deps.search, version)
  const where = targets.join(', ') || 'nothing'
  deps.onLine(`${version.physical}: the alias ${readAlias(version)} pointed at ${where}; it points here again`)
  return true
}

// What somebody took although it lacks something has to be on record, with what it lacks.
function forgive(deps: LifecycleDeps, { physical, index }: Version, force: boolean) {
  return async (check: () => unknown) => {
    try {
      await check()
    } catch (error) {
      if (!force || !isOwnError(error) || error.code === 'STOPPED') throw error
      const what = error.message.split('\n')[0]
      deps.onLine(`${physical}: activated by force. ${what} Then: npx umzug es:verify ${index} --repair`)
    }
  }
}

// Whoever still fills it finds its range gone and ends; what is missing is found by `es:verify --repair`.
async function giveUpPopulate({ store, search }: LifecycleDeps, version: Version): Promise<void> {
  await clearPopulate(store, version.id)
  await restoreSettings(search, version)
}

function assertComplete(version: Version): void {
  if (!isComplete(version)) {
    throw new ElasticUmzugError('VERSION_NOT_READY', `${version.physical} is ${version.state}, not ready.`, {
      next:
        `npx umzug es:update ${version.index}; npx umzug es:activate with --when-ready waits, with --force takes it as it is`,
    })
  }
  if (!version.awaitsWriters) return
  throw new ElasticUmzugError(
    'VERSION_BEHIND',
    `${version.physical} may lack changes: the run that brought it up to date after a migration was broken off.`,
    { next: 'run `npx umzug up` with the code that it was made from; it goes on where that one stopped' },
  )
}

// Nobody brings these up to date: what they lack would be missing for good.
function assertKept(version: Version): void {
  if (version.state === 'dropped') {
    throw new ElasticUmzugError('VERSION_NOT_READY', `${version.physical} is dropped.`, {
      next: `npx umzug es:update ${version.index}`,
    })
  }
  if (version.abandonedAt !== null) {
    throw new ElasticUmzugError(
      'VERSION_ABANDONED',
      `${version.physical} was given up on ${version.abandonedAt}: no worker had its definition for too long, and it lacks changes.`,
      { next: 'run `npx umzug up` with the code that it was made from; it builds a new version' },
    )
  }
  if (!version.dependencyError) return
  throw new ElasticUmzugError(
    'VERSION_BEHIND',
    `${version.physical} cannot be kept up to date any more: ${version.dependencyError}`,
    { next: `npx umzug es:create ${version.index} --force` },
  )
}

async function assertCaughtUp(deps: LifecycleDeps, version: Version, force: boolean): Promise<void> {
  const mark = await deps.mark()
  const isKnown = deps.definitions.some((each) => isMadeFrom(version, each))
  if (isKnown) await retryAborted(deps.store, version.id, deps.maxAttempts)
  const left = await deps.drain(version, isKnown && !force ? { mark } : { mark, timeoutMs: force ? 0 : catchUpMs })
  if (deps.signal?.aborted) throw stopped(version)
  if (left.changes + left.pending > 0) {
    throw new ElasticUmzugError(
      'VERSION_BEHIND',
      `${version.physical} has ${left.pending} pending keys and ${left.changes} changes from before the activation began.`,
      {
        next: 'start a worker that has its definition (`npx umzug queue:work` with that code), then activate again; ' +
          '--force takes it as it is',
      },
    )
  }
  if (left.aborted > 0) {
    throw new ElasticUmzugError('VERSION_BEHIND', `${version.physical} has ${left.aborted} aborted documents.`, {
      next: 'npx umzug queue:status; npx umzug es:activate with --force takes it without them',
    })
  }
}

// What a restore took from the index or the rows is in no queue. Later ones are not concerned: they were built after it.
async function assertUnsuspected({ store }: LifecycleDeps, { index, number, physical }: Version): Promise<void> {
  const found = await suspicionOf(store, physical)
  if (!found) return
  throw new ElasticUmzugError('VERSION_NOT_READY', `${physical} may differ from its rows: ${found.message}.`, {
    next: `npx umzug es:verify ${index}@${number} --repair`,
  })
}

/** Makes the rows say what the alias says, for every index: a crash may have come between the two. */
export async function mendActive(deps: LifecycleDeps): Promise<void> {
  const versions = await listVersions(deps.store, deps.prefix)
  for (const name of new Set(versions.map((each) => each.index))) {
    const targets = await aliasTargets(deps.search, `${deps.prefix}${name}`)
    if (targets.length !== 1) continue
    const pointed = versions.find((each) => each.index === name && each.physical === targets[0])
    if (pointed?.state !== 'ready' && pointed?.state !== 'retired') continue
    if (!(await recordActive(deps.store, pointed))) continue
    deps.onLine(`${pointed.physical}: recorded as active, as the alias says`)
  }
}
