/**
 * The queue's statements with little in it, with millions of pending rows, and after a long time of use.
 * @module
 */
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { dispatch, markNow, unprocessed } from '../../src/queue/changes.ts'
import { lookAt } from '../../src/queue/look.ts'
import { backlogs, claim, settle } from '../../src/queue/pending.ts'
import { registerVersion } from '../../src/search/versions.ts'
import { applySchema } from '../../src/store/schema.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { bookDependencies } from '../support/simple_source.ts'
import type { World } from '../support/world.ts'
import { quantile } from './figures.ts'

/** How much is in the queue, and how often keys go through it. */
export interface QueueBenchOptions {
  /** Pending rows. */
  rows: number
  /** Keys that are enqueued, claimed and settled before the last figures. */
  churn: number
}

/** Milliseconds of each statement. */
type Figures = Record<string, number>

const batch = 500
const rounds = 15

/** Prints the time of each statement, and how many times that of an empty queue it is. */
export async function benchQueue(
  { sequelize }: World,
  { rows, churn }: QueueBenchOptions,
  print: (line: string) => void,
): Promise<void> {
  const store = openStore(fromSequelize(sequelize), 'elastic_umzug')
  await applySchema(store)
  const versionId = await register(store)
  await enqueueMany(store, versionId, 5_000)
  await warmUp(store, versionId)
  const fresh = await measure(store, versionId)
  await enqueueMany(store, versionId, rows)
  const full = await measure(store, versionId)
  await empty(store)
  await enqueueMany(store, versionId, 5_000)
  await churnKeys(store, versionId, churn)
  const churned = await measure(store, versionId)
  const end = await oldTransaction(store)
  await churnKeys(store, versionId, churn / 10)
  const held = await measure(store, versionId)
  await end()
  print(`queue: ${batch} keys at a time, ms and times those of an empty queue`)
  const heads = ['empty', `${rows} pending`, `${churn} keys later`, `${churn / 10} under an old snapshot`]
  print(`  ${'statement'.padEnd(22)}${heads.map((each) => each.padStart(28)).join('')}`)
  for (const [name, ms] of Object.entries(fresh)) {
    const cells = [full, churned, held].map((each) => `${each[name]!.toFixed(1)} (${(each[name]! / ms).toFixed(2)})`)
    print(`  ${name.padEnd(22)}${[ms.toFixed(1), ...cells].map((each) => each.padStart(28)).join('')}`)
  }
}

async function register(store: Store): Promise<string> {
  const { id } = await registerVersion(store, {
    prefix: '',
    name: 'books',
    hash: 'h',
    definition: { mappings: {}, settings: {}, revision: null },
    dependencies: bookDependencies.slice(0, 1),
    tag: null,
  })
  return id
}

async function enqueueMany({ db, table }: Store, versionId: string, rows: number): Promise<void> {
  await db.query(
    `INSERT INTO ${table.pending} (version_id, key, oldest_change, due_at)
     SELECT $1, 'k' || n, nextval('elastic_umzug.changes_id_seq'), clock_timestamp() FROM generate_series(1, $2::int) n
     ON CONFLICT DO NOTHING`,
    [versionId, rows],
  )
  await db.query(`ANALYZE ${table.pending}`)
}

async function empty({ db, table }: Store): Promise<void> {
  await db.query(`TRUNCATE ${table.pending}, ${table.changes}`)
}

async function capture({ db, table }: Store, from: number, count: number): Promise<void> {
  await db.query(
    `INSERT INTO ${table.changes} (table_name, rows)
     SELECT 'public.books', jsonb_build_array(jsonb_build_object('id', n::text)) FROM generate_series($1::int, $2::int) n`,
    [from, from + count - 1],
  )
}

async function warmUp(store: Store, versionId: string): Promise<void> {
  for (let at = 0; at < 3; at++) await measureOnce(store, versionId, at, {})
}

async function measure(store: Store, versionId: string): Promise<Figures> {
  const all: Record<string, number[]> = {}
  for (let at = 0; at < rounds; at++) await measureOnce(store, versionId, at, all)
  return Object.fromEntries(Object.entries(all).map(([name, values]) => [name, quantile(values, 0.25)]))
}

async function measureOnce(store: Store, versionId: string, round: number, all: Record<string, number[]>) {
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const started = performance.now()
    const result = await work()
    ;(all[name] ??= []).push(performance.now() - started)
    return result
  }
  const before = await markNow(store)
  await capture(store, 1_000_000 + round * batch, batch)
  await timed('look', () => lookAt(store, '', [versionId]))
  await timed('dispatch', () => dispatch(store))
  const token = crypto.randomUUID()
  const claimed = await timed('claim', () => claim(store, versionId, token, batch, 30_000))
  await timed('settle', () => settle(store, versionId, token, claimed.map((each) => ({ ...each, absent: false }))))
  await timed('unprocessed', () => unprocessed(store, [versionId], before))
  if (round % 5 !== 0) return
  await timed('unprocessed, none is', () => unprocessed(store, [versionId], '0'))
  await timed('status', () => backlogs(store, [versionId]))
}

// As workers do: a few thousand keys are always there, and each batch is new.
async function churnKeys(store: Store, versionId: string, keys: number): Promise<void> {
  for (let done = 0; done < keys; done += batch) {
    await capture(store, 2_000_000 + done, batch)
    await dispatch(store)
    const token = crypto.randomUUID()
    const claimed = await claim(store, versionId, token, batch, 30_000)
    await settle(store, versionId, token, claimed.map((each) => ({ ...each, absent: false })))
  }
}

// A backup, say: no row that was deleted after it began can be forgotten before it ends.
async function oldTransaction({ db, table }: Store): Promise<() => Promise<void>> {
  const connection = await db.connect()
  await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await connection.query(`SELECT FROM ${table.pending} LIMIT 1`)
  return () => connection.close()
}
