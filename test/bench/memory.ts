/**
 * A process that populates one version and tells how much memory that took: started by `main.ts`.
 * @module
 */
import process from 'node:process'
import { Client } from '@elastic/elasticsearch'
import { Sequelize } from 'sequelize'
import { elasticUmzug } from '../../src/index.ts'
import { defineLibrary } from './library.ts'

const { DATABASE_URL, ELASTICSEARCH_URL, PREFIX = '' } = process.env
const sequelize = new Sequelize(DATABASE_URL!, { logging: false })
const client = new Client({ node: ELASTICSEARCH_URL! })
const { config } = defineLibrary(sequelize, client, PREFIX)
const plugin = elasticUmzug(config)
await plugin.versions.create(['books'], { force: true })

const before = process.memoryUsage().rss
let most = before
const timer = setInterval(() => most = Math.max(most, process.memoryUsage().rss), 20)
const started = performance.now()
const [version] = await plugin.versions.update(['books'])
clearInterval(timer)
const ms = performance.now() - started
process.stdout.write(`${JSON.stringify({ before, most, ms, rows: version?.rowsExpected })}\n`)
await sequelize.close()
await client.close()
