import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type ElasticUmzug, elasticUmzug, type Verified } from '../../src/index.ts'
import { randomFrom } from '../support/bookshop.ts'
import { rejection } from '../support/rejection.ts'
import { createWorld, type Running, startCli, waitFor, type World } from '../support/world.ts'
import {
  defineForum,
  fillForum,
  type Forum,
  forumConfig,
  forumDifferences,
  forumIndexes,
  forumKeys,
  writeForum,
} from './forum.world.ts'

const seed = Number(process.env.SEED ?? 17)
const rounds = Number(process.env.ROUNDS ?? 1)

for (const capture of ['hooks', 'triggers'] as const) {
  describe(`several models in one index, routed, captured by ${capture}`, () => {
    let world: World
    let forum: Forum
    let search: ElasticUmzug
    let child: Running | undefined
    let paged: string[][]

    before(async () => {
      world = await createWorld()
      forum = defineForum(world.sequelize)
      await world.sequelize.sync()
      await fillForum(forum, randomFrom(3))
      search = elasticUmzug(forumConfig(world.sequelize, world.client, { prefix: world.prefix, capture }))
      forum = defineForum(world.sequelize)
      await search.up()
      paged = await dispatchInPages()
      await search.start()
    })
    after(async () => {
      child?.kill('SIGKILL')
      await search?.stop()
      await world.drop()
    })

    const indexes = () => forumIndexes(forum)

    // Everything that shows a user changes, and is enqueued three keys at a time.
    async function dispatchInPages(): Promise<string[][]> {
      const query = async (sql: string) => (await world.sequelize.query(sql))[0] as { keys: string[]; taken: number }[]
      await query(`INSERT INTO elastic_umzug.changes (table_name) VALUES ('public.users')`)
      let turns = 0
      while (turns < 100 && (await query('SELECT elastic_umzug.dispatch(500, 5000, 3) AS taken'))[0]!.taken > 0) turns++
      expect(turns).to.be.within(14, 60)
      const rows = await query(
        `SELECT array_agg(p.key ORDER BY p.key) AS keys FROM elastic_umzug.pending p
         JOIN elastic_umzug.index_versions v ON v.id = p.version_id GROUP BY v.physical ORDER BY v.physical`,
      )
      return rows.map((each) => each.keys)
    }

    async function expectEqual(): Promise<void> {
      for (const definition of indexes()) {
        const index = search.alias(definition.name)
        expect(await forumDifferences(world.client, index, definition, world.sequelize), index).to.deep.equal([])
        const { hits } = await world.client.search({ index, size: 10_000, _source: false })
        const ids = hits.hits.map((each) => each._id!)
        expect(ids).to.have.members(await forumKeys(world.sequelize, definition.name))
      }
    }

    it('are populated, each by its name and in its shard', async () => {
      await expectEqual()
      expect((await forumKeys(world.sequelize, 'threads')).length).to.equal(60)
    })

    it('are enqueued in pages, each page behind the one before', async () => {
      const answers = (await forumKeys(world.sequelize, 'threads')).filter((each) => each.startsWith('answer:'))
      const questions = (await forumKeys(world.sequelize, 'others')).filter((each) => each.startsWith('question:'))
      expect(paged).to.deep.equal([[...answers, ...questions].sort(), answers.sort()])
    })

    it('let children be found by their parent, in the shard they moved to, and go with it', async () => {
      const found = async (text: string) => {
        await search.settled()
        const { hits } = await world.client.search({
          index: search.alias('threads'),
          query: { has_child: { type: 'answer', query: { match_phrase: { text } } } },
        })
        return hits.hits.map((each) => each._id!)
      }
      const answer = await forum.Answer.create({ text: 'unheard of', questionId: 1 } as never)
      const moves: string[][] = []
      for (const questionId of [1, 2, 3, 4, 5, 6]) {
        await answer.update({ questionId })
        moves.push(await found('unheard of'))
      }
      expect(moves).to.deep.equal([1, 2, 3, 4, 5, 6].map((id) => [`question:${id}`]))
      await forum.Question.destroy({ where: { id: 6 } })
      expect(await found('unheard of')).to.deep.equal([])
      await expectEqual()
    })

    it('reach every index that shows a row, by one write', async () => {
      await forum.Answer.update({ text: 'written once' }, { where: { userId: 2 } })
      await search.settled()
      await expectEqual()
      const answers = await forum.Answer.count({ where: { userId: 2 } })
      for (const name of ['answers-0', 'answers-1', 'threads', 'others']) {
        const index = search.alias(name)
        const { hits } = await world.client.search({ index, size: 1_000 })
        const written = hits.hits.filter((each) => (each._source as { text?: string }).text === 'written once')
        expect(written, name).to.have.length(answers)
      }
    })

    it('are equal after random writes, under two processes, one of them killed', async () => {
      const random = randomFrom(seed)
      const program = fileURLToPath(new URL('forum.child.ts', import.meta.url))
      const env = {
        DATABASE_URL: world.databaseUrl,
        ELASTICSEARCH_URL: world.elasticsearchUrl,
        PREFIX: world.prefix,
        CAPTURE: capture,
      }
      for (let round = 0; round < rounds; round++) {
        const running = child = startCli([], { program, env })
        await waitFor(() => running.stdout.includes('started'))
        for (let change = 0; change < 40; change++) await writeForum(forum, random)
        running.kill('SIGKILL')
        for (let change = 0; change < 10; change++) await writeForum(forum, random)
        await running.ended
        await search.settled({ timeoutMs: 30_000 })
        await expectEqual()
      }
    })

    it('tells by es:verify what is missing, extra or different of every model, and repairs it', async () => {
      const routed = (id: string) => {
        const routing = indexes()[1]!.source.routing!(id)
        return { index: search.alias('others'), id, refresh: true, ...(routing === undefined ? {} : { routing }) }
      }
      const keys = await forumKeys(world.sequelize, 'others')
      const of = (name: string) => keys.find((each) => each.startsWith(`${name}:`))!
      for (const name of ['question', 'answer', 'tag']) await world.client.delete(routed(of(name)))
      for (const id of ['question:no such', 'answer:7,999999', 'tag:de,none']) {
        await world.client.index({ ...routed(id), document: {} })
      }
      const found: Verified[] = []
      const error = await rejection(search.versions.verify(['others'], { onResult: (each) => found.push(each) }))
      expect(error.code).to.equal('VERIFY_FAILED')
      expect(found[0]!.remaining).to.include({ missing: 3, extra: 3, different: 0 })
      const [repaired] = await search.versions.verify(['others'], { repair: true })
      expect(repaired!.repaired).to.include({ missing: 3, extra: 3 })
      await expectEqual()
    })

    it('are all written anew, of every model, when what they depend on could not be told for a while', async () => {
      const index = search.alias('others')
      const keys = await forumKeys(world.sequelize, 'others')
      for (const name of ['question', 'answer', 'tag']) {
        const id = keys.find((each) => each.startsWith(`${name}:`))!
        const routing = indexes()[1]!.source.routing!(id)
        await world.client.delete({ index, id, ...(routing === undefined ? {} : { routing }) })
      }
      await world.sequelize.query(
        `UPDATE elastic_umzug.index_versions SET dependency_error = 'for a while' WHERE physical = '${index}-1'`,
      )
      await search.up()
      await search.settled()
      await expectEqual()
    })

    it('loses every document of a table that is emptied, and no other', async () => {
      await forum.Tag.truncate()
      await search.settled()
      await expectEqual()
      await world.sequelize.query('TRUNCATE answers')
      await search.settled()
      await expectEqual()
    })
  })
}
