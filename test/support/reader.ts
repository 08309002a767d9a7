/**
 * A process that reads an index as an application does, one search after the other until SIGTERM, and checks each answer.
 * TARGET is what it reads, by name; UP_TO: documents 1 to this one are in every answer. Prints a JSON object a line.
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, errors } from '@elastic/elasticsearch'

/** What a reader has seen. */
export interface Seen {
  /** Complete answers. */
  polls: number
  /** Answers that there is no such index, and how many of them came after the first complete answer. */
  absent: number
  absentLater: number
  /** What was wrong with an answer: at most ten lines. */
  wrong: string[]
  /** Fields of authors in the documents of an answer, one after another where they differ. */
  shapes: string[]
}

interface Hit {
  author: object | null
}

const { env } = process
const client = new Client({ node: env.ELASTICSEARCH_URL! })
const seen: Seen = { polls: 0, absent: 0, absentLater: 0, wrong: [], shapes: [] }
const upTo = Number(env.UP_TO)
let stopping = false
process.on('SIGTERM', () => stopping = true)

const print = () => process.stdout.write(`${JSON.stringify(seen)}\n`)
const reporting = setInterval(print, 100)
while (!stopping) {
  const problem = await look().catch((error) => `no answer: ${error}`)
  if (problem && seen.wrong.length < 10) seen.wrong.push(problem)
  await sleep(5)
}
clearInterval(reporting)
print()
await client.close()

async function look(): Promise<string | undefined> {
  try {
    const { hits, _shards } = await client.search<Hit>({ index: env.TARGET!, size: 10_000 })
    seen.polls++
    if (_shards.failed > 0) return `${_shards.failed} shards failed`
    const ids = new Set(hits.hits.map((each) => each._id))
    const missing = Array.from({ length: upTo }, (_, at) => String(at + 1)).filter((id) => !ids.has(id))
    if (missing.length > 0) return `answer ${seen.polls} of ${ids.size} documents lacks ${missing}`
    const shapes = new Set(hits.hits.flatMap(({ _source }) => _source!.author ? [shapeOf(_source!.author)] : []))
    if (shapes.size !== 1) return `answer ${seen.polls} has documents of several shapes: ${[...shapes].join('; ')}`
    const [shape] = shapes
    if (shape !== seen.shapes.at(-1)) seen.shapes.push(shape!)
  } catch (error) {
    if (!(error instanceof errors.ResponseError) || error.statusCode !== 404) throw error
    seen.absent++
    if (seen.polls > 0) seen.absentLater++
  }
}

function shapeOf(author: object): string {
  return Object.keys(author).sort().join()
}
