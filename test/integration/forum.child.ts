/** A process of the forum that works at its indexes until it is killed. */
import process from 'node:process'
import { Client } from '@elastic/elasticsearch'
import { Sequelize } from 'sequelize'
import type { Config } from '../../src/index.ts'
import { elasticUmzug } from '../../src/index.ts'
import { forumConfig } from './forum.world.ts'

const sequelize = new Sequelize(process.env.DATABASE_URL!, { logging: false })
const client = new Client({ node: process.env.ELASTICSEARCH_URL! })
const capture = process.env.CAPTURE as 'hooks' | 'triggers'
const config: Config = forumConfig(sequelize, client, { prefix: process.env.PREFIX!, capture })
const search = elasticUmzug(config)
search.on('queue:batch:complete', () => void process.stdout.write('.'))
await search.start()
process.stdout.write('started')
