/**
 * A process that writes, works, or both, at a steady rate: started by `lag.ts`.
 * ROLE: `writer`, `worker` or `both`. Change `n` gives book `1 + n * stride` the edition `n + 1`.
 * @module
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '@elastic/elasticsearch'
import { Sequelize } from 'sequelize'
import { elasticUmzug } from '../../src/index.ts'
import { knob } from './figures.ts'
import { type BookRow, defineLibrary } from './library.ts'

const { DATABASE_URL, ELASTICSEARCH_URL, PREFIX = '', ROLE } = process.env
const perSecond = knob('PER_SECOND', 100, process.env)
const total = knob('TOTAL', 1_000, process.env)
const stride = knob('STRIDE', 1, process.env)

const sequelize = new Sequelize(DATABASE_URL!, { logging: false, pool: { max: 8 } })
const client = new Client({ node: ELASTICSEARCH_URL! })
const { Book, config } = defineLibrary(sequelize, client, PREFIX)
const plugin = elasticUmzug(config)
const ended = new Promise<void>((resolve) => process.once('SIGTERM', () => resolve()))
const say = (what: object) => void process.stdout.write(`${JSON.stringify(what)}\n`)

await plugin.start()
// It goes on recording for the workers of other processes.
if (ROLE === 'writer') await plugin.stop()
if (ROLE === 'worker') say({ working: true })
else await run()
await ended
await plugin.stop()
await sequelize.close()
await client.close()

async function run(): Promise<void> {
  // Connections are opened and code is compiled before the clock counts; the last books are not looked at.
  await write(perSecond / 4, Math.ceil(perSecond / 2), -1)
  await sleep(500)
  // A start in the future, so that whoever looks for the changes knows it in time.
  const startAt = now() + 200
  say({ startAt })
  await sleep(startAt - now())
  say(await write(perSecond, total, 1))
}

/** When each write was called and when it was answered, and by how much the writer was late at most. */
interface Written {
  committed: number[]
  begun: number[]
  late: number
}

async function write(rate: number, count: number, direction: 1 | -1): Promise<Written> {
  const started = now()
  const committed: number[] = []
  const begun: number[] = []
  const running: Promise<void>[] = []
  let late = 0
  for (let n = 0; n < count; n++) {
    const wait = started + (n * 1_000) / rate - now()
    if (wait > 0) await sleep(wait)
    else late = Math.max(late, -wait)
    begun[n] = now()
    const id = direction === 1 ? 1 + n * stride : total * stride - n
    running.push(change(id, n + 1).then((at) => void (committed[n] = at)))
  }
  await Promise.all(running)
  return { committed, begun, late }
}

async function change(id: number, edition: number): Promise<number> {
  const book = Book.build({ id }, { isNewRecord: false }) as BookRow
  await book.update({ edition })
  return now()
}

function now(): number {
  return performance.timeOrigin + performance.now()
}
