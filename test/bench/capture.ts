/**
 * What capture costs the writer: the same writes without it, by hooks and by triggers, alternating in one run.
 * @module
 */
import { DataTypes, type Model, type ModelStatic, Sequelize, type Transaction } from 'sequelize'
import { monotonicClock } from '../../adapters/clock.ts'
import { installCapture } from '../../adapters/sequelize/capture.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { installTriggers } from '../../src/capture/install.ts'
import { joinNeeds } from '../../src/capture/needs.ts'
import { defineIndex } from '../../src/search/definition.ts'
import { openStore } from '../../src/store/store.ts'
import { median } from './figures.ts'

const rounds = 7
const singles = 300
const many = 10_000
const most = 100_000

type How = 'none' | 'hooks' | 'triggers'

interface Writer {
  how: How
  sequelize: Sequelize
  Book: ModelStatic<Model>
}

interface Options {
  databaseUrl: string
  /** Schema of the own tables. */
  schema: string
  print(line: string): void
}

type Work = (writer: Writer, round: number, options?: { transaction: Transaction }) => Promise<unknown>

const summary = 'the whale and the harbour at night '.repeat(7)
const row = (id: number) => ({ id, title: `Book ${id}`, summary, pages: id % 900, authorId: 1 + id % 1_000 })
const known = ({ Book }: Writer, id: number) => Book.build(row(id), { isNewRecord: false, raw: true })
const each = async (work: (id: number) => Promise<unknown>) => {
  for (let id = 1; id <= singles; id++) await work(id)
}

// Each round has rows of its own.
const single: Record<string, Work> = {
  create: ({ Book }, round, options) => each((id) => Book.create(row(1_000_000 + round * singles + id), options)),
  update: (writer, round, options) => each((id) => known(writer, id).update({ title: `${round} ${id}` }, options)),
  'update that moves': (writer, round, options) =>
    each((id) => known(writer, id).update({ authorId: 1 + (round + id) % 1_000 }, options)),
  destroy: (writer, round, options) => each((id) => known(writer, 2_000_000 - round * singles - id).destroy(options)),
}

const large: Record<string, Work> = {
  [`bulkCreate of ${many}`]: ({ Book }, round) =>
    Book.bulkCreate(Array.from({ length: many }, (_, at) => row(3_000_000 + round * many + at))),
  [`raw INSERT of ${most}`]: ({ how, sequelize }, round) =>
    sequelize.query(insertSql(how, 4_000_000 + round * most, 4_000_000 + (round + 1) * most - 1)),
  [`raw UPDATE of ${most}`]: ({ how, sequelize }, round) =>
    sequelize.query(
      `UPDATE ${how}_books SET title = 'round ${round}' WHERE id >= 4000000 AND id < ${4_000_000 + most}`,
    ),
  [`raw UPDATE of ${most}, unread column`]: ({ how, sequelize }, round) =>
    sequelize.query(`UPDATE ${how}_books SET summary = '${round}' WHERE id >= 4000000 AND id < ${4_000_000 + most}`),
}

/** Throughput of each kind of write as a share of that without capture; of large ones the time as its multiple. */
export async function benchCapture({ databaseUrl, schema, print }: Options): Promise<void> {
  const writers: Writer[] = (['none', 'hooks', 'triggers'] as const).map((how) => openWriter(how, databaseUrl))
  for (const writer of writers) await prepare(writer, schema)
  print(
    `capture: ${singles} writes of one row a round, median of ${rounds} rounds, as a share of the throughput without`,
  )
  for (const [name, work] of Object.entries(single)) {
    const inside: Work = (writer, round) =>
      writer.sequelize.transaction((transaction) => work(writer, round + rounds + 1, { transaction }))
    for (const [how, run] of [['autocommit', work], ['in a transaction', inside]] as const) {
      const { base, ratios } = await compare(writers, schema, run)
      const shares = ratios.map(([how, ratio]) => `${how} ${(1 / ratio).toFixed(2)}`)
      print(
        `  ${`${name}, ${how}`.padEnd(36)} ${shares.join('   ')}   (${(base / singles).toFixed(2)} ms a row without)`,
      )
    }
  }
  print(`capture: large writes, as a multiple of the time without`)
  for (const [name, work] of Object.entries(large)) {
    const { base, ratios } = await compare(writers, schema, work)
    const multiples = ratios.map(([how, ratio]) => `${how} ${ratio.toFixed(2)}`)
    print(`  ${name.padEnd(36)} ${multiples.join('   ')}   (${base.toFixed(0)} ms without)`)
  }
  await Promise.all(writers.map(({ sequelize }) => sequelize.close()))
}

function openWriter(how: How, databaseUrl: string): Writer {
  const sequelize = new Sequelize(databaseUrl, { logging: false, pool: { max: 1 } })
  const plain = { timestamps: false }
  const Author = sequelize.define('Author', { name: DataTypes.TEXT }, { ...plain, tableName: `${how}_authors` })
  const Book = sequelize.define('Book', {
    id: { type: DataTypes.BIGINT, primaryKey: true },
    title: DataTypes.TEXT,
    summary: DataTypes.TEXT,
    pages: DataTypes.INTEGER,
  }, { ...plain, tableName: `${how}_books` })
  Book.belongsTo(Author, { as: 'author', foreignKey: 'authorId', constraints: false })
  return { how, sequelize, Book: Book as ModelStatic<Model> }
}

async function prepare({ how, sequelize, Book }: Writer, schema: string): Promise<void> {
  await sequelize.sync()
  await sequelize.query(insertSql(how, 1, 20_000))
  await sequelize.query(insertSql(how, 2_000_000 - 2 * (rounds + 2) * singles, 2_000_000))
  await sequelize.query(`VACUUM ANALYZE ${how}_books`)
  const source = fromModel(Book, { attributes: ['id', 'title', 'pages'], include: [{ association: 'author' }] })
  const definition = defineIndex({ name: 'books', mappings: { properties: {} }, source })
  if (how === 'hooks') installCapture({ sequelize, definitions: [definition], schema, wake: () => {} })
  if (how !== 'triggers') return
  const db = fromSequelize(sequelize)
  const deps = { store: openStore(db, schema), clock: monotonicClock, onLine: () => {} }
  await installTriggers(deps, joinNeeds(await definition.source.dependencies(db)), { replicated: false })
}

function insertSql(how: How, from: number, to: number): string {
  return `INSERT INTO ${how}_books (id, title, summary, pages, "authorId")
    SELECT i, 'Book ' || i, '${summary}', i % 900, 1 + i % 1000 FROM generate_series(${from}, ${to}) i`
}

async function compare(writers: readonly Writer[], schema: string, work: Work) {
  const times = new Map<How, number[]>(writers.map(({ how }) => [how, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const writer of round % 2 ? writers : writers.toReversed()) {
      const started = performance.now()
      await work(writer, round)
      // The first round only warms up.
      if (round > 0) times.get(writer.how)!.push(performance.now() - started)
    }
    // As a worker would.
    await writers[0]!.sequelize.query(`TRUNCATE ${schema}.changes`)
  }
  const none = times.get('none')!
  // Of each round by itself: what else the machine does changes from minute to minute.
  const ratio = (how: How) => median(times.get(how)!.map((each, at) => each / none[at]!))
  return { base: median(none), ratios: writers.slice(1).map(({ how }) => [how, ratio(how)] as const) }
}
