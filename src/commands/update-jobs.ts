/**
 * What an update has to do: which versions, by which definitions.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Definition } from '../search/definition.ts'
import { definitionOf } from '../search/lifecycle.ts'
import { assertTargets, findTargets, type TargetOptions } from '../search/targets.ts'
import { isMadeFrom, type Version } from '../search/versions.ts'
import type { Base } from './base.ts'

/** One version to bring up to date. */
export interface Job {
  definition: Definition
  /** Undefined is the version of the definition, which may not be there yet. */
  version: Version | undefined
}

/**
 * The versions that names and options stand for. A bare name is the version of this code's definition; `name@N`, a physical
 * name and the options choose versions, each of which this code must have the definition of.
 * Throws `DEFINITION_UNKNOWN`, and what `findTargets` does.
 */
export async function jobsOf(base: Base, names: readonly string[], options: TargetOptions): Promise<Job[]> {
  assertTargets(names, options)
  const { all, allActive, latest, older, newer } = options
  const relative = latest ? { latest } : older ? { older } : newer ? { newer } : undefined
  if (allActive) return explicit(base, await findTargets(base, [], { allActive }))
  if (relative && names.length === 0) return explicit(base, await findTargets(base, [], { ...relative, all: true }))
  if (relative) return explicit(base, await findTargets(base, names, relative))
  if (names.length === 0 || all) return base.definitions.map((definition) => ({ definition, version: undefined }))
  const jobs: Job[] = []
  for (const name of names) jobs.push(...await named(base, name))
  return distinct(jobs)
}

async function named(base: Base, name: string): Promise<Job[]> {
  const definition = base.definitions.find((each) => each.name === name)
  if (definition) return [{ definition, version: undefined }]
  const isVersion = name.includes('@') || /-\d+$/.test(name)
  return isVersion
    ? explicit(base, await findTargets(base, [name]))
    : [{ definition: definitionOf(base, name), version: undefined }]
}

function explicit({ definitions }: Base, versions: readonly Version[]): Job[] {
  return versions.map((version) => {
    const definition = definitions.find((each) => isMadeFrom(version, each))
    if (definition) return { definition, version }
    throw new ElasticUmzugError(
      'DEFINITION_UNKNOWN',
      `${version.physical} cannot be updated here: this code does not have the definition that it was made from.`,
      { next: `run the command with that code, or name another version: npx umzug es:list` },
    )
  })
}

function distinct(jobs: readonly Job[]): Job[] {
  const seen = new Set<string>()
  return jobs.filter(({ definition, version }) => {
    const key = version?.physical ?? definition.name
    return seen.has(key) ? false : seen.add(key)
  })
}
