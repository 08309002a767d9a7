/**
 * How long a committed change takes until a read by id shows it.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@elastic/elasticsearch'
import { elasticUmzug } from '../../src/index.ts'
import { quantile } from './figures.ts'
import type { BookRow, Library } from './library.ts'

/** How many changes, and for how long. */
export interface LagOptions {
  perSecond: number
  seconds: number
  /** Books there are. */
  rows: number
}

/** Connections are opened and code is compiled before the clock counts. */
const warmUpSeconds = 2

interface Change {
  id: number
  edition: number
  committedAt: number
}

/** Changes books at a steady rate, with the worker in this process; prints the lag from commit to visible by id. */
export async function benchLag(
  { Book, config }: Library,
  client: Client,
  { perSecond, seconds, rows }: LagOptions,
  print: (line: string) => void,
): Promise<void> {
  const plugin = elasticUmzug(config)
  const alias = plugin.alias('books')
  await plugin.start()
  const open: Change[] = []
  const lags: number[] = []
  const writing = { done: false }
  const looking = watch(client, alias, open, lags, writing)
  await write(Book, open, { perSecond: perSecond / 4, seconds: warmUpSeconds, rows })
  while (open.length > 0) await sleep(5)
  lags.length = 0
  const late = await write(Book, open, { perSecond, seconds, rows })
  writing.done = true
  await looking
  await plugin.stop()
  const [p50, p99, worst] = [0.5, 0.99, 1].map((share) => `${quantile(lags, share).toFixed(0)} ms`)
  print(`lag from commit to visible by id: ${lags.length} changes, ${perSecond} a second, worker in this process`)
  print(`  p50 ${p50}   p99 ${p99}   max ${worst}   (writer behind its schedule by at most ${late.toFixed(0)} ms)`)
}

// Each book once, so that no later change hides the time of an earlier one.
async function write(Book: Library['Book'], open: Change[], options: LagOptions): Promise<number> {
  const total = options.perSecond * options.seconds
  const stride = Math.max(1, Math.floor(options.rows / total))
  const started = performance.now()
  const running: Promise<void>[] = []
  let late = 0
  for (let n = 0; n < total; n++) {
    const due = started + (n * 1_000) / options.perSecond
    const wait = due - performance.now()
    if (wait > 0) await sleep(wait)
    else late = Math.max(late, -wait)
    running.push(change(Book, 1 + n * stride, n + 1, open))
  }
  await Promise.all(running)
  return late
}

async function change(Book: Library['Book'], id: number, edition: number, open: Change[]): Promise<void> {
  const book = Book.build({ id }, { isNewRecord: false }) as BookRow
  await book.update({ edition })
  open.push({ id, edition, committedAt: performance.now() })
}

async function watch(
  client: Client,
  index: string,
  open: Change[],
  lags: number[],
  writing: { done: boolean },
): Promise<void> {
  while (!writing.done || open.length > 0) {
    if (open.length === 0) {
      await sleep(2)
      continue
    }
    const asked = open.slice(0, 100)
    const { docs } = await client.mget<{ edition: number }>({
      index,
      ids: asked.map((each) => String(each.id)),
      _source_includes: ['edition'],
    })
    const now = performance.now()
    const editions = new Map(docs.map((each) => [each._id, '_source' in each ? each._source?.edition : undefined]))
    for (const each of asked) {
      if (editions.get(String(each.id)) !== each.edition) continue
      lags.push(now - each.committedAt)
      open.splice(open.indexOf(each), 1)
    }
    await sleep(3)
  }
}
