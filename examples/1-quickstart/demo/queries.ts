/**
 * What the demo asks Elasticsearch, through the ordinary client.
 * @module
 */
import process from 'node:process'
import { Client } from '@elastic/elasticsearch'

/** The demo's own client. */
export const client: Client = new Client({ node: process.env.ELASTICSEARCH_URL ?? 'http://localhost:9200' })

interface MovieDocument {
  title: string
  released: string
  rating: number | null
  director: { name: string } | null
}

/** The best rated movies whose title has one of the words, a line each. */
export async function bestRated(index: string, words: string): Promise<string[]> {
  const { hits } = await client.search<MovieDocument>({
    index,
    query: { match: { title: words } },
    sort: [{ rating: { order: 'desc', missing: '_last' } }],
    size: 5,
  })
  return hits.hits.map(({ _source }) => {
    const { title, released, rating, director } = _source!
    return `${rating?.toFixed(1) ?? '  -'}  ${title} (${released.slice(0, 4)})${
      director ? `, by ${director.name}` : ''
    }`
  })
}

/** The genres with most movies, a line each. */
export async function byGenre(index: string): Promise<string[]> {
  const { aggregations } = await client.search<unknown, { genres: { buckets: { key: string; doc_count: number }[] } }>({
    index,
    size: 0,
    aggs: { genres: { terms: { field: 'genre', size: 4 } } },
  })
  return aggregations!.genres.buckets.map(({ key, doc_count }) => `${String(doc_count).padStart(4)}  ${key}`)
}
