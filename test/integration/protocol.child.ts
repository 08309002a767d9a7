/** A process that comes up for the first time: makes the own tables if nobody has, then draws numbers. Prints one JSON array. */
import process from 'node:process'
import pg from 'pg'
import { wrapClient } from '../../adapters/postgres/connection.ts'
import type { Db } from '../../src/ports.ts'
import { drawNumber } from '../../src/search/clock.ts'
import { applySchema } from '../../src/store/schema.ts'
import { openStore } from '../../src/store/store.ts'

const client = new pg.Client({ connectionString: process.env.DATABASE_URL! })
await client.connect()
const connection = wrapClient(client)
const db: Db = {
  label: 'child',
  query: connection.query,
  connect: () => Promise.resolve(connection),
  within: () => connection,
  async transaction(work) {
    await connection.query('BEGIN')
    const result = await work(connection)
    await connection.query('COMMIT')
    return result
  },
}
const store = openStore(db, 'elastic_umzug')
await applySchema(store)
const now = () => performance.timeOrigin + performance.now()
const drawn: { before: number; n: string; after: number }[] = []
for (let left = 25; left > 0; left--) {
  const before = now()
  const n = await drawNumber(store)
  drawn.push({ before, n, after: now() })
}
process.stdout.write(JSON.stringify(drawn))
await connection.close()
