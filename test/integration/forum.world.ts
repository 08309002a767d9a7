/**
 * A forum whose index holds questions, answers (their children, in the shard of their question) and tags, and
 * another that holds them by other keys; and random writes that move them.
 */
import type { Client } from '@elastic/elasticsearch'
import { DataTypes, type Model, type ModelStatic, type Sequelize } from 'sequelize'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { fromQuery } from '../../adapters/postgres/index.ts'
import { type Config, defineConfig, defineIndex, type Definition, fromSources } from '../../src/index.ts'
import { below, pick, type Random } from '../support/bookshop.ts'
import { readAll } from '../support/both-ways.ts'

type AnyModel = ModelStatic<Model>

/** The models. */
export interface Forum {
  Question: AnyModel
  Answer: AnyModel
  User: AnyModel
  Tag: AnyModel
}

/** Defines the models; makes no tables. */
export function defineForum(sequelize: Sequelize): Forum {
  const plain = { timestamps: false }
  const User = sequelize.define('User', { name: DataTypes.TEXT }, { ...plain, tableName: 'users' })
  const Question = sequelize.define('Question', {
    title: DataTypes.TEXT,
    slug: { type: DataTypes.TEXT, allowNull: false, unique: true },
  }, { ...plain, tableName: 'questions' })
  const Answer = sequelize.define('Answer', {
    text: DataTypes.TEXT,
    questionId: { type: DataTypes.INTEGER, allowNull: false, field: 'question_id' },
  }, { ...plain, tableName: 'answers' })
  const Tag = sequelize.define('Tag', {
    word: { type: DataTypes.TEXT, primaryKey: true },
    language: { type: DataTypes.TEXT, primaryKey: true },
    uses: DataTypes.INTEGER,
  }, { ...plain, tableName: 'tags' })
  const key = { name: 'questionId', field: 'question_id' }
  Answer.belongsTo(Question, { as: 'question', foreignKey: key, onDelete: 'CASCADE', onUpdate: 'CASCADE' })
  Answer.belongsTo(User, { as: 'user', foreignKey: { name: 'userId', field: 'user_id' } })
  Question.hasMany(Answer, { as: 'answers', foreignKey: key, onDelete: 'CASCADE', onUpdate: 'CASCADE' })
  return { Question, Answer, User, Tag }
}

const settings = { number_of_shards: 3, number_of_replicas: 0 }

/** The definitions. */
export function forumIndexes({ Question, Answer, Tag }: Forum): Definition[] {
  const user = { association: 'user', attributes: ['name'] }
  const threads = fromSources({
    question: fromModel(Question, {
      routing: 'id',
      document: (row: Model) => ({ ...row.get(), kind: 'question' }),
    }),
    answer: fromModel(Answer, {
      routing: 'questionId',
      include: [user],
      document: (row: Model) => ({
        text: row.get('text'),
        user: (row.get('user') as Model | null)?.get('name') ?? null,
        kind: { name: 'answer', parent: `question:${row.get('questionId')}` },
      }),
    }),
    tag: fromModel(Tag),
  })
  const byOthers = fromSources({
    // Rows as PostgreSQL makes them.
    question: fromModel(Question, {
      id: 'slug',
      include: [{ association: 'answers', attributes: ['text'], include: [user] }],
    }),
    answer: fromModel(Answer, { routing: 'questionId', include: [user] }),
    tag: fromQuery({
      table: 'tags',
      key: ['language', 'word'],
      routing: 'language',
      query: 'SELECT t.* FROM keys JOIN tags t USING (language, word)',
    }),
  })
  const mappings = { dynamic: false, properties: { title: { type: 'text' } } }
  return [
    defineIndex({
      name: 'threads',
      settings,
      mappings: {
        ...mappings,
        properties: { text: { type: 'text' }, kind: { type: 'join', relations: { question: 'answer' } } },
      },
      source: threads,
    }),
    defineIndex({
      name: 'others',
      settings,
      mappings: { ...mappings, _routing: { required: false } },
      source: byOthers,
    }),
    // Two more of a model that others show, each with a part of its rows.
    ...[0, 1].map((odd) =>
      defineIndex({
        name: `answers-${odd}`,
        settings,
        mappings,
        source: fromModel(Answer, { where: { userId: odd === 0 ? [1, 2] : [2, 3] } }),
      })
    ),
  ]
}

/** The config of every process of the forum. */
export function forumConfig(
  sequelize: Sequelize,
  client: Client,
  rest: Partial<Config> & { prefix: string },
): Config {
  const indexes = forumIndexes(defineForum(sequelize))
  return defineConfig({ sequelize, elasticsearch: client, indexes, pollMs: 20, leaseMs: 2_000, ...rest })
}

/** Fills the tables. */
export async function fillForum({ Question, Answer, User, Tag }: Forum, random: Random): Promise<void> {
  await User.bulkCreate([1, 2, 3].map((id) => ({ id, name: `user ${id}` })))
  await Question.bulkCreate(Array.from({ length: 12 }, (_, at) => ({ title: `title ${at}`, slug: `slug,${at}` })))
  await Answer.bulkCreate(Array.from({ length: 40 }, (_, at) => ({
    text: `text ${at}`,
    questionId: 1 + below(random, 12),
    userId: 1 + below(random, 3),
  })))
  await Tag.bulkCreate(Array.from({ length: 8 }, (_, at) => ({ word: `w${at}`, language: pick(random, ['de', 'fr']) })))
}

/** One random write, by one of the ways that there are. */
export async function writeForum(forum: Forum, random: Random): Promise<void> {
  const { Question, Answer, User, Tag } = forum
  const run = (sql: string) => Question.sequelize!.query(sql)
  const any = async (model: AnyModel) =>
    (await model.findAll({ order: Question.sequelize!.random(), limit: 1 }))[0] as Model
  const question = await any(Question)
  const answer = await any(Answer)
  const n = below(random, 1_000)
  const writes: (() => Promise<unknown>)[] = [
    () => Question.create({ title: `new ${n}`, slug: `s${n}/${below(random, 1e9)}` } as never),
    () => Answer.create({ text: `new ${n}`, questionId: question.get('id'), userId: 1 + n % 3 } as never),
    () => answer?.update({ questionId: question.get('id') }),
    () => answer?.update({ text: `changed ${n}` }),
    () =>
      Answer.update({ questionId: question.get('id') }, { where: { userId: 1 + n % 3, id: [n % 40, n % 23, n % 11] } }),
    () => answer?.destroy(),
    () => question.update({ slug: `moved ${n} ${below(random, 1e9)}` }),
    () => User.update({ name: `name ${n}` }, { where: { id: 1 + n % 3 } }),
    () => Tag.update({ language: pick(random, ['de', 'fr', 'it']) }, { where: { word: `w${n % 8}` } }),
    () => Tag.update({ uses: n }, { where: { language: 'de' } }),
    // The key moves, and with it, by the foreign key, the shard of every answer.
    () => run(`UPDATE questions SET id = id + 1000000 WHERE id = ${Number(question.get('id'))}`),
    () => run(`UPDATE answers SET question_id = ${Number(question.get('id'))} WHERE id % 7 = ${n % 7}`),
    async () => await Question.count() > 6 && await question.destroy(),
    // Two slugs change hands within one transaction.
    () =>
      Question.sequelize!.transaction(async (transaction) => {
        const other = await Question.findOne({ order: [['id', 'ASC']], transaction })
        const [one, two] = [question.get('slug'), other!.get('slug')]
        if (other!.get('id') === question.get('id')) return
        await question.update({ slug: `between ${n}` }, { transaction })
        await other!.update({ slug: one as string }, { transaction })
        await question.update({ slug: two as string }, { transaction })
      }),
  ]
  await pick(random, writes)()
}

/** What differs between the documents of an index, of all shards, and those that its source gives; empty when nothing. */
export async function forumDifferences(
  client: Client,
  index: string,
  { source }: Definition,
  sequelize: Sequelize,
): Promise<string[]> {
  await client.indices.refresh({ index })
  const { hits } = await client.search({ index, size: 10_000, query: { match_all: {} } })
  const wanted = await readAll(source, fromSequelize(sequelize), 100)
  const lines: string[] = []
  const seen = new Set<string>()
  for (const { _id, _source, _routing } of hits.hits as { _id: string; _source: unknown; _routing?: string }[]) {
    if (seen.has(_id)) lines.push(`${_id}: twice`)
    seen.add(_id)
    if (!wanted.has(_id)) lines.push(`${_id}: too much`)
    else if (JSON.stringify(_source) !== JSON.stringify(wanted.get(_id))) lines.push(`${_id}: different`)
    if (_routing !== source.routing?.(_id)) lines.push(`${_id}: routed by ${_routing}`)
  }
  for (const key of wanted.keys()) if (!seen.has(key)) lines.push(`${key}: missing`)
  return lines
}

/** The keys that there must be, told by hand. */
export async function forumKeys(sequelize: Sequelize, index: string): Promise<string[]> {
  const all: Record<string, string> = {
    threads:
      `SELECT 'question:' || id FROM questions UNION ALL SELECT 'answer:' || question_id || ',' || id FROM answers
      UNION ALL SELECT 'tag:' || word || ',' || language FROM tags`,
    others:
      `SELECT 'question:' || slug FROM questions UNION ALL SELECT 'answer:' || question_id || ',' || id FROM answers
      UNION ALL SELECT 'tag:' || language || ',' || word FROM tags`,
    'answers-0': 'SELECT id::text FROM answers WHERE user_id IN (1, 2)',
    'answers-1': 'SELECT id::text FROM answers WHERE user_id IN (2, 3)',
  }
  const [rows] = await sequelize.query(`SELECT key FROM (${all[index]}) AS k(key)`)
  return (rows as { key: string }[]).map((each) => each.key)
}
