/**
 * What the demo does, in order.
 * @module
 */
import { elasticUmzug } from 'elastic-umzug'
import { sequelize } from '../database.ts'
import next from '../umzug.config.next.ts'
import config from '../umzug.config.ts'
import { makeChanges } from './changes.ts'
import { bestRated, byGenre, client } from './queries.ts'
import { compare } from './compare.ts'
import { count, output, say, show, title } from './print.ts'
import { type Server, startServer, umzug } from './processes.ts'
import { rollOut, showDifference } from './rollout.ts'

const first = elasticUmzug(config)
const second = elasticUmzug(next)
const alias = first.alias('movies')
const fields = ['id', 'title', 'released', 'distributor', 'rating', 'votes'] as const

/** Tells the whole story; throws at the first thing that is not as it should be. */
export async function story(): Promise<void> {
  await deploy()
  await search()
  await change()
  const server = await release()
  await prove()
  await rollBack()
  await lookBack()
  await Promise.all([server.stop(), second.stop()])
  await sequelize.close()
  await client.close()
}

async function deploy(): Promise<void> {
  title('1. Deploy')
  say('One command brings a database and a cluster to where the code wants them: it runs the migrations')
  say('of sequelize-cli as they are, then builds the search index that umzug.config.ts defines.')
  await umzug('up')
  say('It converges, so it belongs into every deploy: the second time there is nothing to do.')
  await umzug('up')
}

async function search(): Promise<void> {
  title('2. Search')
  say('Readers use the ordinary Elasticsearch client, and the alias as the name of the index.')
  show(`client.search({ index: search.alias('movies'), query: { match: { title: 'seas of space' } }, sort: … })`)
  const hits = await bestRated(alias, 'seas of space')
  output(hits.join('\n'))
  if (hits.length < 5) throw new Error('the search found too little')
}

async function change(): Promise<void> {
  title('3. Every change shows up')
  say('The application starts its part with `await search.start()`. From then on it just writes, with the')
  say('Sequelize calls it always had; each change is noted in the transaction that makes it.')
  await first.start()
  await makeChanges(client, alias)
  await first.settled()
  await check('movies-1', fields)
}

async function release(): Promise<Server> {
  title('4. A new field, without downtime')
  say('The next release wants genres in the search. Its config has two changed lines:')
  await showDifference()
  say('The servers of the first release go on serving meanwhile. One runs in a process of its own, where visitors')
  say('rename, rate, sort, hand over, add and delete movies and rename directors, while a reader asks the alias.')
  const server = await startServer()
  await first.stop()
  await rollOut(server, second, alias)
  say('And genres are there:')
  output((await byGenre(alias)).join('\n'))
  return server
}

async function prove(): Promise<void> {
  title('5. Nothing is lost')
  say('Every document of the new version, compared field by field with its row:')
  await check('movies-2', [...fields, 'genre'])
}

async function rollBack(): Promise<void> {
  title('6. Back, by one command')
  say('The old version is kept, and the server of the first release kept it up to date all along. So going back')
  say('loses nothing: the command first makes sure that all that was committed is in it, then moves the alias.')
  await umzug('es:activate', 'movies@1')
  await check('movies-1', fields)
}

async function lookBack(): Promise<void> {
  title('7. On record')
  say('Which versions there are, what waits, and who did what:')
  for (const command of ['es:list', 'queue:status', 'log']) await umzug(command)
}

async function check(version: string, expected: Parameters<typeof compare>[2]): Promise<void> {
  const physical = Object.keys(await client.indices.getAlias({ name: alias }))
  if (physical.join() !== `${alias.slice(0, -'movies'.length)}${version}`) {
    throw new Error(`the alias is on ${physical}`)
  }
  const { compared, different } = await compare(client, alias, expected)
  output(`${version}: compared ${count(compared)}, different ${different.length}`)
  if (different.length > 0) throw new Error(`different: movies ${different.slice(0, 20).join(', ')}`)
  if (compared !== 3_201) throw new Error('there should be 3,201 movies')
}
