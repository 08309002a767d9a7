/**
 * Builds, activates, rolls back and drops versions until SIGTERM. SEED. Prints a JSON object a line.
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@elastic/elasticsearch'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { elasticUmzug } from '../../src/index.ts'
import { openSession } from '../../src/store/lock.ts'
import { openStore } from '../../src/store/store.ts'
import config, { sequelize } from '../fixtures/library/umzug.config.ts'
import { randomFrom } from '../fixtures/library/writes.ts'
import { pick } from './proxy.ts'

const { env } = process
const random = randomFrom(Number(env.SEED ?? 1))
const search = elasticUmzug(config)
const store = openStore(fromSequelize(sequelize), 'elastic_umzug')
const client = config.elasticsearch as Client
const stop = new AbortController()
const options = { signal: stop.signal }
const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)
process.on('SIGTERM', () => stop.abort())

/** Versions of an index beyond which old ones are dropped. */
const most = 3

const steps = {
  async rebuild() {
    const names = [random() < 0.7 ? 'books' : 'editions']
    await again(() => search.versions.create(names, { ...options, force: true }))
    await again(() => search.versions.update(names, options))
    await again(() => search.versions.activate(names, options))
  },
  async rollBack() {
    const versions = (await search.versions.list()).filter((each) => each.state === 'retired')
    const chosen = versions[Math.floor(random() * versions.length)]
    if (chosen) await search.versions.activate([chosen.physical], options)
  },
  async up() {
    await search.up(options)
  },
}

while (!stop.signal.aborted) {
  const step = pick(random, [['rebuild', 6], ['rollBack', 2], ['up', 1]] as const)
  try {
    await steps[step]()
    print({ step })
    await dropOldest()
  } catch (error) {
    print({ step, code: (error as { code?: string }).code, error: String((error as Error).message ?? error) })
    await sleep(200)
  }
}
process.exit(0)

// What was broken off goes on where it was.
async function again(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return void await work()
    } catch (error) {
      if (tries === 8 || stop.signal.aborted || /VERIFY_FAILED/.test((error as { code?: string }).code ?? '')) {
        throw error
      }
      await sleep(100 * tries)
    }
  }
}

// As a drop will do it, under the run lock, but for its patience: what is on its way to the index meets nothing.
async function dropOldest(): Promise<void> {
  const session = await openSession(store)
  try {
    if (!(await session.tryLock('run'))) return
    const rows = await store.db.query<{ physical: string }>(
      `UPDATE elastic_umzug.index_versions SET state = 'dropped', dropped_at = clock_timestamp() WHERE id IN (
         SELECT id FROM (SELECT id, state, row_number() OVER (PARTITION BY index_id ORDER BY number DESC) AS place
           FROM elastic_umzug.index_versions WHERE state <> 'dropped') v
         WHERE place > $1 AND state <> 'active') RETURNING physical`,
      [most],
    )
    for (const { physical } of rows) {
      await client.indices.delete({ index: physical, ignore_unavailable: true })
      print({ step: 'drop', physical })
    }
  } finally {
    await session.close()
  }
}
