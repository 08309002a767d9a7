/**
 * The index versions of several databases as those of one.
 * @module
 */
import { eachOf } from '../commands/change.ts'
import type { CommandOptions } from '../commands/base.ts'
import type { IndexCommands } from '../commands/indexes.ts'
import type { Verified } from '../commands/verify.ts'
import { ElasticUmzugError, isOwnError } from '../errors.ts'
import { byOwner, type Chosen, everyOne, type JoinedPart, ownerOf } from './owners.ts'

type Command = (names?: readonly string[], options?: CommandOptions) => Promise<unknown[]>

/** Joins them: each name is asked of the database that has it. */
export function joinVersions(parts: readonly JoinedPart[]): IndexCommands {
  const chosen = async (command: keyof IndexCommands, names: readonly string[]) =>
    names.length > 0 ? await byOwner(parts, names) : everyOne(parts, command)
  const commands = Object.keys(parts[0]!.plugin.versions) as (keyof IndexCommands)[]
  const joined = commands.map((command): [string, Command] => [
    command,
    async (names = [], options) => {
      const done = await eachOf(
        await chosen(command, names),
        ({ part, names }) => (part.plugin.versions[command] as Command)(names, options),
      )
      return done.flat()
    },
  ])
  const all = Object.fromEntries(joined) as unknown as IndexCommands
  return {
    ...all,
    // Its names are those of one comparison.
    async diff(names = []) {
      const [first] = names.filter((each) => each !== 'code' && each !== 'live')
      return first === undefined ? await all.diff([]) : await (await ownerOf(parts, first)).plugin.versions.diff(names)
    },
    // To each database the indexes of the others are foreign.
    async listForeign() {
      const [first, ...others] = await eachOf(parts, ({ plugin }) => plugin.versions.listForeign())
      return first!.filter(({ name }) => others.every((foreign) => foreign.some((each) => each.name === name)))
    },
    verify: async (names = [], options) => await verifyAll(await chosen('verify', names), options),
  }
}

// What one lacks must not leave the others unseen.
async function verifyAll(
  chosen: readonly Chosen[],
  options: Parameters<IndexCommands['verify']>[1],
): Promise<Verified[]> {
  const failed: ElasticUmzugError[] = []
  const results = await eachOf(chosen, async ({ part, names }) => {
    try {
      return await part.plugin.versions.verify(names, options)
    } catch (error) {
      if (!isOwnError(error) || error.code !== 'VERIFY_FAILED') throw error
      failed.push(error)
      return []
    }
  })
  if (failed.length === 0) return results.flat()
  const { next } = failed[0]!
  const message = failed.map((each) => each.message).join('\n')
  throw new ElasticUmzugError('VERIFY_FAILED', message, { ...(next !== undefined && { next }), cause: failed[0] })
}
