/**
 * How long a committed change takes until a read by id shows it.
 * @module
 */
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@elastic/elasticsearch'
import { killTree, type Running, startCli, waitFor, type World } from '../support/world.ts'
import { quantile } from './figures.ts'

/** How many changes, and for how long. */
export interface LagOptions {
  perSecond: number
  seconds: number
  /** Books there are. */
  rows: number
  /** Whether the worker runs in the process that writes. */
  worker: 'in the same process' | 'in another process'
}

/** Changes books at a steady rate; prints the lag from commit to visible by id, as a third process sees it. */
export async function benchLag(world: World, options: LagOptions, print: (line: string) => void): Promise<void> {
  const { perSecond, worker } = options
  const total = perSecond * options.seconds
  const stride = Math.max(1, Math.floor(options.rows / total))
  const env = { PER_SECOND: `${perSecond}`, TOTAL: `${total}`, STRIDE: `${stride}` }
  const children: Running[] = []
  const start = (role: string) => children[children.push(startProcess(world, { ...env, ROLE: role })) - 1]!
  try {
    if (worker === 'in another process') await said(start('worker'), 'working')
    const writer = start(worker === 'in another process' ? 'writer' : 'both')
    const { startAt } = await said<{ startAt: number }>(writer, 'startAt')
    const seen = await watch(world.client, `${world.prefix}books`, { startAt, perSecond, total, stride })
    const { committed, begun, late } = await said<Record<'committed' | 'begun', number[]> & { late: number }>(
      writer,
      'committed',
    )
    const since = (from: readonly number[]) => seen.map((at, n) => Math.max(0, at - from[n]!))
    print(`lag until visible by id: ${total} changes, ${perSecond} a second, the worker ${worker}`)
    // A busy writer learns late that it committed; that its write had not begun before is certain.
    print(`  from the answer to the commit   ${shares(since(committed))}`)
    print(
      `  from the call of the write      ${shares(since(begun))}   (${late.toFixed(0)} ms behind its schedule at most)`,
    )
  } finally {
    await Promise.all(children.map(killTree))
  }
}

function shares(lags: readonly number[]): string {
  const [p50, p90, p99, worst] = [0.5, 0.9, 0.99, 1].map((share) => `${quantile(lags, share).toFixed(0)} ms`)
  return `p50 ${p50}   p90 ${p90}   p99 ${p99}   max ${worst}`
}

function startProcess({ databaseUrl, elasticsearchUrl, prefix }: World, env: Record<string, string>): Running {
  return startCli([], {
    program: fileURLToPath(new URL('writer.ts', import.meta.url)),
    env: { DATABASE_URL: databaseUrl, ELASTICSEARCH_URL: elasticsearchUrl, PREFIX: prefix, ...env },
  })
}

// The first line with that key.
async function said<Line = unknown>(child: Running, key: string): Promise<Line> {
  let ended = false
  void child.ended.then(() => ended = true)
  const find = () => child.stdout.split('\n').slice(0, -1).find((line) => line.startsWith(`{"${key}"`))
  await waitFor(() => find() !== undefined || ended, { timeoutMs: 120_000 })
  const line = find()
  if (line === undefined) throw new Error(`The process ended without ${key}: ${child.stderr}`)
  return JSON.parse(line) as Line
}

interface Schedule {
  startAt: number
  perSecond: number
  total: number
  stride: number
}

/** Most documents asked for at once. */
const askedAtOnce = 200

// When each change was seen first. What may be written already is known from the schedule, so nobody has to tell.
async function watch(
  client: Client,
  index: string,
  { startAt, perSecond, total, stride }: Schedule,
): Promise<number[]> {
  const seen: number[] = []
  const open: number[] = []
  for (let next = 0; next < total || open.length > 0;) {
    while (next < total && startAt + (next * 1_000) / perSecond <= now()) open.push(next++)
    if (open.length > 0) {
      const asked = open.slice(0, askedAtOnce)
      const shown = await editions(client, index, asked.map((n) => String(1 + n * stride)))
      const at = now()
      for (const n of asked) {
        if (shown.get(String(1 + n * stride)) !== n + 1) continue
        seen[n] = at
        open.splice(open.indexOf(n), 1)
      }
    }
    await sleep(2)
  }
  return seen
}

async function editions(client: Client, index: string, ids: string[]): Promise<Map<string, number | undefined>> {
  const { docs } = await client.mget<{ edition: number }>({ index, ids, _source_includes: ['edition'] })
  return new Map(docs.map((each) => [each._id, '_source' in each ? each._source?.edition : undefined]))
}

function now(): number {
  return performance.timeOrigin + performance.now()
}
