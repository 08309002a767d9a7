/**
 * Every document against its row, made by hand: it shares no code with what is being checked.
 * @module
 */
import { isDeepStrictEqual } from 'node:util'
import type { Client } from '@elastic/elasticsearch'
import { Director, Movie } from '../models/index.ts'

/** What a comparison found. */
export interface Comparison {
  compared: number
  /** Ids of rows without their document, and of documents without their row. */
  different: number[]
}

/** Compares all movies with the documents of an index; `fields` are those that a document has beside the director. */
export async function compare(client: Client, index: string, fields: readonly (keyof Movie)[]): Promise<Comparison> {
  const documents = await readDocuments(client, index)
  const movies = await Movie.findAll({ include: Director })
  const different: number[] = []
  for (const movie of movies) {
    if (!isDeepStrictEqual(documents.get(movie.id), expected(movie, fields))) different.push(movie.id)
    documents.delete(movie.id)
  }
  return { compared: movies.length, different: [...different, ...documents.keys()] }
}

function expected(movie: Movie, fields: readonly (keyof Movie)[]): object {
  const director = movie.director && { id: movie.director.id, name: movie.director.name }
  return { ...Object.fromEntries(fields.map((field) => [field, movie[field]])), director }
}

const pageSize = 1_000

async function readDocuments(client: Client, index: string): Promise<Map<number, unknown>> {
  const documents = new Map<number, unknown>()
  for (let after = 0;;) {
    const { hits } = await client.search({ index, size: pageSize, sort: [{ id: 'asc' }], search_after: [after] })
    for (const { _id, _source } of hits.hits) documents.set(Number(_id), _source)
    if (hits.hits.length < pageSize) return documents
    after = Number(hits.hits.at(-1)!._id)
  }
}
