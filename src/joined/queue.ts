/**
 * The queues of several databases as one.
 * @module
 */
import { eachOf } from '../commands/change.ts'
import type { QueueSelection } from '../commands/aborted.ts'
import type { QueueCommands } from '../commands/queue.ts'
import { byOwner, type JoinedPart } from './owners.ts'

/** Joins them: each database gets the names and the keys that are its own. */
export function joinQueues(parts: readonly JoinedPart[]): QueueCommands {
  return {
    status: async (options = {}) =>
      (await eachOf(await named(parts, options), ({ part, own }) => part.plugin.queue.status({ ...options, ...own })))
        .flat(),
    work: (signal, onStart) => workAll(parts, signal, onStart),
    retry: async (options = {}) =>
      (await eachOf(await having(parts, options), ({ part, own }) => part.plugin.queue.retry({ ...options, ...own })))
        .flat(),
    clear: async (options) =>
      (await eachOf(await having(parts, options), ({ part, own }) => part.plugin.queue.clear({ ...options, ...own })))
        .flat(),
  }
}

interface Share {
  part: JoinedPart
  own: QueueSelection
}

// Those that the names are about; all where none is named.
async function named(parts: readonly JoinedPart[], { targets = [], indexes = [] }: QueueSelection): Promise<Share[]> {
  const byTarget = await byOwner(parts, targets)
  const byIndex = await byOwner(parts, indexes)
  return parts.flatMap((part) => {
    const own = { targets: namesOf(byTarget, part), indexes: namesOf(byIndex, part) }
    const isMeant = (given: readonly string[], found: readonly string[]) => given.length === 0 || found.length > 0
    return isMeant(targets, own.targets) && isMeant(indexes, own.indexes) ? [{ part, own }] : []
  })
}

function namesOf(chosen: Awaited<ReturnType<typeof byOwner>>, part: JoinedPart): readonly string[] {
  return chosen.find((each) => each.part === part)?.names ?? []
}

// Those of them that have such aborted documents; what none has is asked of the first, which tells what there is.
async function having(parts: readonly JoinedPart[], selection: QueueSelection): Promise<Share[]> {
  const shares = await named(parts, selection)
  const { keys = [], reason } = selection
  if (keys.length === 0 && reason === undefined) return shares
  const filter = reason === undefined ? {} : { reason }
  const isThere = async ({ part, own }: Share, keys: readonly string[]) =>
    (await part.plugin.queue.status({ ...own, ...filter, keys, aborted: true })).length > 0
  const found = await eachOf(shares, async (share) => {
    const there = await eachOf(keys, async (key) => ({ key, is: await isThere(share, [key]) }))
    const own = there.filter((each) => each.is).map((each) => each.key)
    return { share, own, has: keys.length > 0 ? own.length > 0 : await isThere(share, []) }
  })
  const missing = keys.filter((key) => !found.some((each) => each.own.includes(key)))
  const owning = found.filter((each) => each.has)
  if (missing.length > 0 || owning.length === 0) return shares.slice(0, 1)
  return owning.map(({ share: { part, own: names }, own }) => ({ part, own: { ...names, keys: own } }))
}

// One that cannot work ends the others: whoever started them all would not know that it is missing.
async function workAll(parts: readonly JoinedPart[], signal: AbortSignal, onStart?: () => void): Promise<void> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  let started = 0
  const begun = () => {
    if (++started === parts.length) onStart?.()
  }
  const ended = await Promise.allSettled(parts.map(({ plugin }) =>
    plugin.queue.work(either, begun).catch((error) => {
      stop.abort()
      throw error
    })
  ))
  for (const each of ended) if (each.status === 'rejected') throw each.reason
}
