/**
 * The changes that the demo makes, each with the moment at which a reader sees it.
 * @module
 */
import { cpus, loadavg } from 'node:os'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, estypes } from '@elastic/elasticsearch'
import { Director, Movie } from '../models/index.ts'
import { output, show } from './print.ts'
import { totalOf } from './reader.ts'

/** Longest time from a commit to its being searchable, in milliseconds, on a machine that is not overloaded. */
const promiseMs = 1_000

/** Makes the changes one by one; throws when one is not searchable in time. */
export async function makeChanges(client: Client, index: string): Promise<void> {
  const found = async (query: estypes.QueryDslQueryContainer) =>
    totalOf((await client.search({ index, size: 0, track_total_hits: true, query })).hits)
  const titled = (title: string) => found({ match_phrase: { title } })
  const by = (name: string) => found({ term: { 'director.name.raw': name } })
  const from = (distributor: string) => found({ term: { distributor } })

  const movie = await Movie.findOne({ where: { title: 'Jaws' }, rejectOnEmpty: true })
  show(`movie.update({ title: 'The Shark of Amity Island' })`)
  await movie.update({ title: 'The Shark of Amity Island' })
  await seen('found by its new title', async () => await titled('shark of amity island') === 1)

  const director = await Director.findOne({ where: { name: 'Steven Spielberg' }, rejectOnEmpty: true })
  const directed = await by(director.name)
  show(`director.update({ name: 'Steven Allan Spielberg' })`)
  await director.update({ name: 'Steven Allan Spielberg' })
  await seen(
    `all ${directed} movies show the new name`,
    async () => await by('Steven Allan Spielberg') === directed && await by('Steven Spielberg') === 0,
  )

  show(`Movie.update({ distributor: 'Sony' }, { where: { distributor: 'Sony Pictures' } })`)
  const [updated] = await Movie.update({ distributor: 'Sony' }, { where: { distributor: 'Sony Pictures' } })
  await seen(
    `all ${updated} rows of one statement`,
    async () => await from('Sony') === updated && await from('Sony Pictures') === 0,
  )

  show(`Movie.create({ title: 'The Zero Downtime Heist', directorId: director.id })`)
  const heist = await Movie.create({ title: 'The Zero Downtime Heist', directorId: director.id })
  await seen('found, with its director', async () => await by('Steven Allan Spielberg') === directed + 1)

  show(`movie.destroy()`)
  await heist.destroy()
  await seen('gone', async () => await titled('zero downtime heist') === 0)
}

async function seen(what: string, check: () => Promise<boolean>): Promise<void> {
  const committedAt = performance.now()
  const elapsedMs = () => Math.round(performance.now() - committedAt)
  while (!(await check())) {
    if (elapsedMs() > 10 * promiseMs) throw new Error(`not searchable after ${elapsedMs()} ms: ${what}`)
    await sleep(10)
  }
  const tookMs = elapsedMs()
  const load = Math.round(loadavg()[0]!)
  const busy = load > 2 * cpus().length
  if (tookMs > promiseMs && !busy) throw new Error(`searchable only after ${tookMs} ms: ${what}`)
  const excuse = tookMs > promiseMs ? ` (${load} processes want this machine's ${cpus().length} CPUs)` : ''
  output(`${what}: searchable ${tookMs} ms after the commit${excuse}`)
}
