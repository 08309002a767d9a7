/**
 * What is searchable, and where it is kept: all that elastic-umzug adds to the application.
 * @module
 */
import process from 'node:process'
import { Client } from '@elastic/elasticsearch'
import { type Config, defineConfig, defineIndex, type Definition } from 'elastic-umzug'
import { fromModel } from 'elastic-umzug/sequelize'
import { sequelize } from './database.ts'
import { Director, Movie } from './models/index.ts'

const movies: Definition = defineIndex({
  name: 'movies',
  // One server, so no copies; a change is to be found after 200 ms instead of the usual second.
  settings: { number_of_replicas: 0, refresh_interval: '200ms' },
  mappings: {
    dynamic: 'strict',
    properties: {
      id: { type: 'integer' },
      title: { type: 'text', analyzer: 'english' },
      released: { type: 'date' },
      distributor: { type: 'keyword' },
      rating: { type: 'double' },
      votes: { type: 'integer' },
      director: {
        properties: { id: { type: 'integer' }, name: { type: 'text', fields: { raw: { type: 'keyword' } } } },
      },
    },
  },
  source: fromModel(Movie, {
    attributes: ['id', 'title', 'released', 'distributor', 'rating', 'votes'],
    include: [{ model: Director, attributes: ['id', 'name'] }],
  }),
})

const config: Config = defineConfig({
  sequelize,
  elasticsearch: new Client({ node: process.env.ELASTICSEARCH_URL ?? 'http://localhost:9200' }),
  migrations: 'migrations/*.cjs',
  indexes: [movies],
  prefix: process.env.SEARCH_PREFIX,
})

export default config
