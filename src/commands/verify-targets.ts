/**
 * Which versions a comparison is about.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Source } from '../ports.ts'
import { findVersion } from '../search/lifecycle.ts'
import { findTargets, type TargetOptions } from '../search/targets.ts'
import { isComplete, isNewestOf, listVersions, type Version } from '../search/versions.ts'
import type { Base, Run } from './base.ts'
import { eachOf } from './change.ts'

/** A version with the source that this code has for it. */
export interface Target {
  version: Version
  source: Source
}

/**
 * The versions that are compared: those that names and options stand for, else every complete one that this code has the
 * definition of. Throws `VERSION_UNKNOWN`, `VERSION_NOT_READY` or `DEFINITION_UNKNOWN`.
 */
export async function verifyTargets(
  base: Base,
  run: Run,
  names: readonly string[],
  options: TargetOptions,
): Promise<Target[]> {
  const isRelative = Object.values(options).some(Boolean)
  if (names.length === 0 && !isRelative) return await served(base, run)
  const versions = isRelative ? await findTargets(base, names, options) : await eachNamed(base, names)
  if (versions.length === 0) run.say('no version is chosen')
  return versions.map((version) => targetOf(base, version))
}

// One that was given up gets no changes any more: it differs, and that is known.
const isKept = (version: Version) => isComplete(version) && version.abandonedAt === null

async function served(base: Base, { say }: Run): Promise<Target[]> {
  const versions = (await listVersions(base.store, base.prefix)).filter(isKept)
  for (const each of versions) if (!sourceOf(base, each)) say(`${each.physical}: left out, ${unknownHere}`)
  if (versions.length === 0) say('there are no complete index versions')
  return versions.flatMap((version) => {
    const source = sourceOf(base, version)
    return source ? [{ version, source }] : []
  })
}

const unknownHere = 'this code does not have the definition that it was made from'

// Before the first activation the name of an index means its newest complete version.
async function eachNamed(base: Base, names: readonly string[]): Promise<Version[]> {
  const versions = await listVersions(base.store, base.prefix)
  const active = (name: string) => versions.find((each) => each.index === name && each.state === 'active')
  return await eachOf(names, async (name) => active(name) ?? await findVersion(base, name))
}

function targetOf(base: Base, version: Version): Target {
  if (!isKept(version)) {
    const state = version.abandonedAt === null ? version.state : 'given up'
    throw new ElasticUmzugError('VERSION_NOT_READY', `${version.physical} is ${state}, not complete.`, {
      next: `npx umzug es:update ${version.index}`,
    })
  }
  const source = sourceOf(base, version)
  if (source) return { version, source }
  throw new ElasticUmzugError('DEFINITION_UNKNOWN', `${version.physical} cannot be verified here: ${unknownHere}.`, {
    next: 'run the command with that code, or name another version: npx umzug es:list',
  })
}

function sourceOf({ definitions }: Base, version: Version): Source | undefined {
  return definitions.find((each) => isNewestOf(version, each))?.source
}
