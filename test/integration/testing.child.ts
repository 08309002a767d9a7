/**
 * A suite in a process of its own: begins, writes a book, tells what it finds, and ends at SIGTERM.
 * @module
 */
import process from 'node:process'
import { Client } from '@elastic/elasticsearch'
import { Sequelize } from 'sequelize'
import type { CaptureMode } from '../../src/index.ts'
import { testSearch } from '../../src/testing/index.ts'
import { appOf } from './testing.world.ts'

const { DATABASE_URL, ELASTICSEARCH_URL, CAPTURE, TITLE } = process.env
const sequelize = new Sequelize(DATABASE_URL!, { logging: false })
const client = new Client({ node: ELASTICSEARCH_URL! })
const { Book, config } = appOf(sequelize, client, CAPTURE as CaptureMode)
const kit = await testSearch(config, { indexes: ['books'] })
await Book.create({ title: TITLE! })
await kit.settled()
const { hits } = await client.search<{ title: string }>({ index: kit.alias('books') })
const titles = hits.hits.map((each) => each._source!.title)
console.log(JSON.stringify({ prefix: kit.prefix, schema: kit.schema, titles }))
process.on('SIGTERM', () => void kit.stop().then(() => process.exit(0)))
setInterval(() => {}, 1_000)
