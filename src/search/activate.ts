/**
 * Activates versions: the alias is the truth, the rows follow it.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { aliasTargets, swapAlias } from './aliases.ts'
import type { LifecycleDeps } from './lifecycle.ts'
import { assertPhysical, refresh } from './physical.ts'
import { stopped } from './populate.ts'
import { listVersions, readAlias, readVersion, recordActive, retryAborted, type Version } from './versions.ts'

/** How long an activation waits for a version that only other processes can bring up to date. */
const catchUpMs = 30_000

/**
 * Points the alias at a version that is complete and holds all that was committed before the check began. The alias is
 * the truth: after a crash between its request and the rows, the next command mends the rows.
 * Throws `VERSION_NOT_READY` or `VERSION_BEHIND`, and then nothing has changed.
 */
export async function activateVersion(deps: LifecycleDeps, given: Version): Promise<void> {
  const version = await readVersion(deps.store, given.id)
  assertComplete(version)
  await assertPhysical(deps.search, version)
  await assertCaughtUp(deps, version)
  await refresh(deps.search, version.physical)
  deps.assertHeld()
  await swapAlias(deps.search, version)
  await recordActive(deps.store, version)
  deps.emitter.emit('version:state:changed', { index: version.index, version: version.number, state: 'active' })
  deps.onLine(`${version.physical}: active, the alias ${readAlias(version)} points at it`)
}

function assertComplete(version: Version): void {
  if (version.state === 'created' || version.state === 'populating' || version.state === 'dropped') {
    throw new ElasticUmzugError('VERSION_NOT_READY', `${version.physical} is ${version.state}, not ready.`, {
      next: `npx umzug es:update ${version.index}`,
    })
  }
  if (!version.dependencyError) return
  throw new ElasticUmzugError(
    'VERSION_BEHIND',
    `${version.physical} cannot be kept up to date any more: ${version.dependencyError}`,
    { next: `npx umzug es:create ${version.index} --force` },
  )
}

async function assertCaughtUp(deps: LifecycleDeps, version: Version): Promise<void> {
  const mark = await deps.mark()
  const isKnown = deps.definitions.some((each) => each.name === version.index && each.hash === version.hash)
  if (isKnown) await retryAborted(deps.store, version.id, deps.maxAttempts)
  const left = await deps.drain(version, isKnown ? { mark } : { mark, timeoutMs: catchUpMs })
  if (deps.signal?.aborted) throw stopped(version)
  if (left.changes + left.pending > 0) {
    throw new ElasticUmzugError(
      'VERSION_BEHIND',
      `${version.physical} has ${left.pending} pending keys and ${left.changes} changes from before the activation began.`,
      { next: 'start a worker that has its definition (`npx umzug queue:work` with that code), then activate again' },
    )
  }
  if (left.aborted > 0) {
    throw new ElasticUmzugError('VERSION_BEHIND', `${version.physical} has ${left.aborted} aborted documents.`, {
      next: 'npx umzug queue:status',
    })
  }
}

/** Makes the rows say what the alias says, for every index: a crash may have come between the two. */
export async function mendActive(deps: LifecycleDeps): Promise<void> {
  const versions = await listVersions(deps.store, deps.prefix)
  for (const name of new Set(versions.map((each) => each.index))) {
    const targets = await aliasTargets(deps.search, `${deps.prefix}${name}`)
    if (targets.length !== 1) continue
    const pointed = versions.find((each) => each.index === name && each.physical === targets[0])
    if (pointed?.state !== 'ready' && pointed?.state !== 'retired') continue
    await recordActive(deps.store, pointed)
    deps.onLine(`${pointed.physical}: recorded as active, as the alias says`)
  }
}
