/**
 * The application: it adds books and finds them. It has a plugin of its own, and knows nothing of tests either.
 * @module
 */
import { type ElasticUmzug, elasticUmzug } from 'elastic-umzug'
import { Book } from './models.ts'
import config, { client } from './umzug.config.ts'

/** The application's plugin; its server calls `search.start()`. */
export const search: ElasticUmzug = elasticUmzug(config)

/** Saves a book. */
export async function addBook(title: string): Promise<void> {
  await Book.create({ title })
}

/** Titles of the books that have a word. */
export async function findBooks(word: string): Promise<string[]> {
  const { hits } = await client.search<{ title: string }>({
    index: search.alias('books'),
    query: { match: { title: word } },
  })
  return hits.hits.map((each) => each._source!.title).sort()
}
