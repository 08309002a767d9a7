/**
 * A reader that asks the alias all the time, as the visitors of a search page do.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@elastic/elasticsearch'

/** What a reader saw. */
export interface Seen {
  polls: number
  /** Fewest documents that an answer counted. */
  fewest: number
  /** Number of answers by physical index, in the order of their first one. */
  answers: Map<string, number>
}

/** A reader at work. */
export interface Reader {
  stop(): Promise<Seen>
}

const pauseMs = 20

/** Starts a reader; an answer that is an error makes `stop` throw. */
export function startReader(client: Client, index: string): Reader {
  const seen: Seen = { polls: 0, fewest: Infinity, answers: new Map() }
  let open = true
  const reading = read()
  reading.catch(() => {})
  return {
    async stop() {
      open = false
      await reading
      return seen
    },
  }

  async function read(): Promise<void> {
    while (open) {
      const { hits } = await client.search({ index, size: 1, track_total_hits: true, _source: false })
      const physical = hits.hits[0]?._index ?? 'nothing'
      seen.polls++
      seen.fewest = Math.min(seen.fewest, totalOf(hits))
      seen.answers.set(physical, (seen.answers.get(physical) ?? 0) + 1)
      await sleep(pauseMs)
    }
  }
}

/** The number of documents found. */
export function totalOf({ total }: { total?: number | { value: number } }): number {
  return typeof total === 'object' ? total.value : total ?? 0
}
