/**
 * The build id of this code: recorded on versions and actions.
 * @module
 */
import type { Emitter } from '../events.ts'
import type { Runtime } from '../ports.ts'
import type { Version } from '../search/versions.ts'

/** Longest tag. */
const longest = 63

/** What a tag is found by. */
export interface TagParts {
  config: { tag?: string }
  folder: string
  runtime: Pick<Runtime, 'env' | 'run'>
}

/**
 * The tag: of the config, else of the environment (`TAG`), else what git says of the config's folder. Null where none of them
 * knows one: no repository, no git, or no permission to run it.
 */
export async function findTag({ config, folder, runtime }: TagParts): Promise<string | null> {
  const given = config.tag || runtime.env('TAG')
  const found = given || await runtime.run('git', ['describe', '--tags', '--always', '--dirty'], folder)
  return found?.trim().slice(0, longest) || null
}

/** Finds the tag when it is first asked for, and only once. */
export function tagOnce(parts: TagParts): () => Promise<string | null> {
  let finding: Promise<string | null> | undefined
  return () => finding ??= findTag(parts)
}

/** Tells, for each version once, that another build made it: it is served all the same. */
export function createTagTeller(emitter: Emitter): (version: Version, tag: string | null) => string | undefined {
  const told = new Set<string>()
  return ({ id, index, number, physical, tag: made }, tag) => {
    if (made === null || tag === null || made === tag || told.has(id)) return undefined
    told.add(id)
    emitter.emit('version:tag:other', { index, version: number, made, tag })
    return `${physical}: made by build ${made}, this is ${tag}`
  }
}
