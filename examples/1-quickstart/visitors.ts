/**
 * Visitors who change movies and directors all the time, through ordinary Sequelize calls.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Director, Movie } from './models/index.ts'

/** What the visitors did. */
export interface Written {
  rows: number
  seconds: number
}

/** Visitors at work. */
export interface Visitors {
  /** Ends after the writes under way; every movie that was added is deleted again. */
  stop(): Promise<Written>
}

const visitorCount = 4
const pauseMs = 5

/** Lets the visitors in. */
export function startVisitors(): Visitors {
  const added: number[] = []
  const startedAt = Date.now()
  let rows = 0
  let open = true
  const visit = async () => {
    while (open) {
      rows += await pick(writes)(added)
      await sleep(pauseMs)
    }
  }
  const visits = Promise.all(Array.from({ length: visitorCount }, visit))
  return {
    async stop() {
      open = false
      await visits
      rows += await Movie.destroy({ where: { id: added } })
      return { rows, seconds: (Date.now() - startedAt) / 1000 }
    },
  }
}

type Write = (added: number[]) => Promise<number>

const rate: Write = async () => {
  const movie = await anyMovie()
  await movie.update({ rating: Math.round(Math.random() * 100) / 10, votes: (movie.votes ?? 0) + 1 })
  return 1
}

const rename: Write = async () => {
  const movie = await anyMovie()
  await movie.update({ title: `${movie.title?.replace(/ \(cut \d+\)$/, '')} (cut ${Math.ceil(Math.random() * 99)})` })
  return 1
}

const sort: Write = async () => {
  const [count] = await Movie.update({ genre: pick(genres) }, { where: { id: (await anyMovie()).id } })
  return count
}

const handOver: Write = async () => {
  const director = await anyDirector()
  await (await anyMovie()).update({ directorId: director.id })
  return 1
}

const renameDirector: Write = async () => {
  const director = await anyDirector()
  await director.update({ name: `${director.name.replace(/ \d+$/, '')} ${Math.ceil(Math.random() * 99)}` })
  return 1
}

const add: Write = async (added) => {
  const { title, directorId } = await anyMovie()
  const sequel = await Movie.create({ title: `${title} II`, genre: pick(genres), directorId })
  added.push(sequel.id)
  return 1
}

const remove: Write = async (added) => {
  const id = added.shift()
  return id === undefined ? 0 : await Movie.destroy({ where: { id } })
}

const writes: Write[] = [rate, rate, rename, rename, sort, sort, handOver, renameDirector, add, remove]
const genres = ['Drama', 'Comedy', 'Western', 'Horror', 'Musical', null]
const firstMovies = 3_000
const firstDirectors = 500

async function anyMovie(): Promise<Movie> {
  return await Movie.findByPk(Math.ceil(Math.random() * firstMovies)) ?? await anyMovie()
}

async function anyDirector(): Promise<Director> {
  return await Director.findByPk(Math.ceil(Math.random() * firstDirectors)) ?? await anyDirector()
}

function pick<T>(choices: readonly T[]): T {
  return choices[Math.floor(Math.random() * choices.length)]!
}
