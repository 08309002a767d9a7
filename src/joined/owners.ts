/**
 * Which of several databases something is about.
 * @module
 */
import { eachOf } from '../commands/change.ts'
import type { IndexCommands } from '../commands/indexes.ts'
import type { ElasticUmzug } from '../plugin.ts'

/** The plugin of one database, with the names of the indexes that are defined over it. */
export interface JoinedPart {
  name: string
  plugin: ElasticUmzug
  indexes: readonly string[]
}

/** A database with what is asked of it. */
export interface Chosen {
  part: JoinedPart
  names: readonly string[]
}

/** All of them; a database without indexes has none to speak of, unless none has any. */
export function everyOne(parts: readonly JoinedPart[], command: keyof IndexCommands): Chosen[] {
  const defining = parts.filter((each) => each.indexes.length > 0)
  const chosen = command === 'list' || defining.length === 0 ? parts : defining
  return chosen.map((part) => ({ part, names: [] }))
}

/** The databases that some names are about, each with its names. */
export async function byOwner(parts: readonly JoinedPart[], names: readonly string[]): Promise<Chosen[]> {
  const owned = await eachOf(names, async (name) => ({ name, part: await ownerOf(parts, name) }))
  return parts.map((part) => ({ part, names: owned.filter((each) => each.part === part).map((each) => each.name) }))
    .filter((each) => each.names.length > 0)
}

/** The database of an index, a version or a physical name: where it is defined, else where it has versions, else the first. */
export async function ownerOf(parts: readonly JoinedPart[], target: string): Promise<JoinedPart> {
  const [index] = target.split('@')
  const defining = parts.find((each) => each.indexes.includes(index!))
  if (defining) return defining
  for (const part of parts) {
    const versions = await part.plugin.versions.list()
    if (versions.some((each) => each.index === index || each.physical === target)) return part
  }
  // It throws that there is none.
  return parts[0]!
}
