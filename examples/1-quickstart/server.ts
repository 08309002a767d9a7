/**
 * One server of the application, with the code of the first release: it keeps the search up to date, and on `write`
 * its visitors change rows until `pause`. Ends with its standard input, so that it never outlives who started it.
 * @module
 */
import process from 'node:process'
import { createInterface } from 'node:readline'
import { elasticUmzug } from 'elastic-umzug'
import { sequelize } from './database.ts'
import config from './umzug.config.ts'
import { startVisitors, type Visitors } from './visitors.ts'

const search = elasticUmzug(config)
await search.start()
console.log('ready')

let visitors: Visitors | undefined
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'write') visitors = startVisitors()
  if (line === 'pause') console.log(JSON.stringify(await visitors?.stop()))
}
await visitors?.stop()
await search.stop()
await sequelize.close()
