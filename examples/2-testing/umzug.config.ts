/**
 * What is searchable. Nothing in here knows of tests.
 * @module
 */
import process from 'node:process'
import { Client } from '@elastic/elasticsearch'
import { type Config, defineConfig, defineIndex } from 'elastic-umzug'
import { fromModel } from 'elastic-umzug/sequelize'
import { Book, sequelize } from './models.ts'

/** The application's Elasticsearch client. */
export const client: Client = new Client({ node: process.env.ELASTICSEARCH_URL ?? 'http://localhost:9200' })

const books = defineIndex({
  name: 'books',
  mappings: { dynamic: 'strict', properties: { id: { type: 'integer' }, title: { type: 'text' } } },
  settings: { number_of_shards: 3, number_of_replicas: 1 },
  source: fromModel(Book),
})

const config: Config = defineConfig({ sequelize, elasticsearch: client, indexes: [books] })
export default config
