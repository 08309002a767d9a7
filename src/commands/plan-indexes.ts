/**
 * What would be done for index definitions.
 * @module
 */
import type { Definition } from '../search/definition.ts'
import { type Cost, costOf } from '../search/estimate.ts'
import { versionOf } from '../search/lifecycle.ts'
import { suspicionOf } from '../search/suspicions.ts'
import { abortedKeys, isNewestOf, listVersions, type Version, type VersionState } from '../search/versions.ts'
import type { Base } from './base.ts'
import { eachOf } from './change.ts'
import { inPlaceTarget } from './in-place.ts'

/** A step on the way to an active version. */
export type Step = 'created' | 'populated' | 'activated'

/** What would be done for one definition. */
export interface IndexPlan extends Cost {
  index: string
  /** The version of this code; undefined where it has to be made. */
  version: Version | undefined
  /** What is left to do. */
  open: Step[]
  /** Physical name of the active version, where the change could be put into it. */
  inPlace: string | null
  /** What keeps it from being activated. */
  blockedBy: string[]
}

/** What would be done for each definition, up to the given steps, a line each; `anew` as if there were no version. */
export async function planIndexes(
  base: Base,
  definitions: readonly Definition[],
  steps: readonly Step[],
  anew: boolean = false,
): Promise<string[]> {
  return await eachOf(definitions, async (definition) => {
    const version = anew ? undefined : await versionOf(base, definition)
    const open = openSteps(version, steps)
    const name = version?.physical ?? `a new version of ${base.prefix}${definition.name}`
    return open.length === 0 ? `${name}: ${version!.state}, nothing to do` : `${name}: would be ${open.join(', ')}`
  })
}

/** The same in full, with what it costs and what is in its way. The own tables must exist. */
export async function planDefinition(base: Base, definition: Definition, steps: readonly Step[]): Promise<IndexPlan> {
  const versions = (await listVersions(base.store, base.prefix)).filter((each) => each.index === definition.name)
  const version = await versionOf(base, definition)
  const open = openSteps(version, steps)
  const isFilled = version !== undefined && !open.includes('populated')
  const search = base.search
  return {
    index: definition.name,
    version,
    open,
    inPlace: search && version === undefined
      ? (await inPlaceTarget({ ...base, search }, definition))?.physical ?? null
      : null,
    blockedBy: version && open.length > 0 ? await blocks(base, version, definition) : [],
    ...(isFilled ? { rows: null, minutes: null, bytes: null } : await costOf(base, versions, definition.source)),
  }
}

function openSteps(version: Version | undefined, steps: readonly Step[]): Step[] {
  const done = doneSteps(version?.state)
  return steps.filter((each) => !done.includes(each))
}

function doneSteps(state: VersionState | undefined): Step[] {
  if (state === undefined) return []
  if (state === 'created' || state === 'populating') return ['created']
  return state === 'active' ? ['created', 'populated', 'activated'] : ['created', 'populated']
}

async function blocks({ store }: Base, version: Version, definition: Definition): Promise<string[]> {
  const { physical } = version
  const suspicion = await suspicionOf(store, physical)
  const [aborted] = await abortedKeys(store, version.id)
  return [
    ...(suspicion ? [`${physical} may differ from its rows: ${suspicion.message}; npx umzug es:verify --repair`] : []),
    ...(aborted
      ? [`${physical} has aborted documents, the first is ${aborted.key}: ${aborted.reason}; npx umzug queue:status`]
      : []),
    ...(version.dependencyError ? [`${physical} cannot be kept up to date: ${version.dependencyError}`] : []),
    ...(isNewestOf(version, definition) ? [] : [`${physical} was changed in place for other code; npx umzug es:diff`]),
  ]
}
