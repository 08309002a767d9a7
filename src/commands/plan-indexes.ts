/**
 * What would be done for index definitions.
 * @module
 */
import type { Definition } from '../search/definition.ts'
import { versionOf } from '../search/lifecycle.ts'
import type { VersionState } from '../search/versions.ts'
import type { Base } from './base.ts'
import { eachOf } from './change.ts'

/** A step on the way to an active version. */
export type Step = 'created' | 'populated' | 'activated'

/** What would be done for each definition, up to the given steps, a line each; `anew` as if there were no version. */
export async function planIndexes(
  base: Base,
  definitions: readonly Definition[],
  steps: readonly Step[],
  anew: boolean = false,
): Promise<string[]> {
  return await eachOf(definitions, async (definition) => {
    const version = anew ? undefined : await versionOf(base, definition)
    const done = doneSteps(version?.state)
    const open = steps.filter((each) => !done.includes(each))
    const name = version?.physical ?? `a new version of ${base.prefix}${definition.name}`
    return open.length === 0 ? `${name}: ${version!.state}, nothing to do` : `${name}: would be ${open.join(', ')}`
  })
}

function doneSteps(state: VersionState | undefined): Step[] {
  if (state === undefined) return []
  if (state === 'created' || state === 'populating') return ['created']
  return state === 'active' ? ['created', 'populated', 'activated'] : ['created', 'populated']
}
