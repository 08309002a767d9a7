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

const rounds = 9
// A turn lasts longer than what hooks know of the database is kept, so that it is asked as often as by a steady writer.
const singles = 1_000
const largeRounds = 7
const many = 10_000
const most = 100_000

/** `floor`: a trigger that keeps nothing but the keys, in arrays of a thousand; the least that anything records. */
type How = 'none' | 'floor' | 'hooks' | 'triggers'

const hows: readonly How[] = ['none', 'floor', 'hooks', 'triggers']

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
  /** Measures only what has this in its name. */
  only?: string | undefined
}

type Work = (writer: Writer, turn: number, options?: { transaction: Transaction }) => Promise<unknown>

const summary = 'the whale and the harbour at night '.repeat(7)
const row = (id: number) => ({ id, title: `Book ${id}`, summary, pages: id % 900, authorId: 1 + id % 1_000 })
const known = ({ Book }: Writer, id: number) => Book.build(row(id), { isNewRecord: false, raw: true })
const each = async (work: (id: number) => Promise<unknown>) => {
  for (let id = 1; id <= singles; id++) await work(id)
}

// Each turn has rows of its own, and so has each way of committing.
const single: Record<string, Work> = {
  create: ({ Book }, turn, options) => each((id) => Book.create(row(1_000_000 + turn * singles + id), options)),
  update: (writer, turn, options) => each((id) => known(writer, id).update({ title: `${turn} ${id}` }, options)),
  'update that moves': (writer, turn, options) =>
    each((id) => known(writer, id).update({ authorId: 1 + (turn + id) % 1_000 }, options)),
  destroy: (writer, turn, options) => each((id) => known(writer, 2_000_000 + turn * singles + id).destroy(options)),
}

const large: Record<string, Work> = {
  [`bulkCreate of ${many}`]: ({ Book }, turn) =>
    Book.bulkCreate(Array.from({ length: many }, (_, at) => row(3_000_000 + turn * many + at))),
  [`raw INSERT of ${most}`]: ({ how, sequelize }, turn) =>
    sequelize.query(insertSql(how, 4_000_000 + turn * most, 4_000_000 + (turn + 1) * most - 1)),
  [`raw UPDATE of ${most}`]: ({ how, sequelize }, turn) =>
    sequelize.query(
      `UPDATE ${how}_books SET title = 'turn ${turn}' WHERE id >= 4000000 AND id < ${4_000_000 + most}`,
    ),
  [`raw UPDATE of ${most}, unread column`]: ({ how, sequelize }, turn) =>
    sequelize.query(
      `UPDATE ${how}_books SET summary = '${summary} ${turn}' WHERE id >= 4000000 AND id < ${4_000_000 + most}`,
    ),
}

/** Throughput of each kind of write as a share of that without capture; of large ones the time as its multiple. */
export async function benchCapture({ databaseUrl, schema, print, only = '' }: Options): Promise<void> {
  const writers = hows.map((how) => openWriter(how, databaseUrl))
  for (const writer of writers) await prepare(writer, schema)
  print(`capture: turns of ${singles} writes of one row, median of ${rounds}, as a share of the throughput without`)
  for (const [name, work] of Object.entries(single)) {
    const inside: Work = (writer, turn) =>
      writer.sequelize.transaction((transaction) => work(writer, turn + rounds + 1, { transaction }))
    for (const [how, run] of [['autocommit', work], ['in a transaction', inside]] as const) {
      const title = `${name}, ${how}`
      if (!title.includes(only)) continue
      const { base, ratios } = await compare(writers, schema, { work: run, rounds })
      const shares = ratios.map(([how, ratio]) => `${how} ${(1 / ratio).toFixed(2)}`)
      print(`  ${title.padEnd(36)} ${shares.join('   ')}   (${(base / singles).toFixed(2)} ms a row without)`)
    }
  }
  print(`capture: large writes, median of ${largeRounds}, as a multiple of the time without`)
  for (const [title, work] of Object.entries(large)) {
    if (!title.includes(only)) continue
    const { base, ratios } = await compare(writers, schema, { work, rounds: largeRounds })
    const multiples = ratios.map(([how, ratio]) => `${how} ${ratio.toFixed(2)}`)
    print(`  ${title.padEnd(36)} ${multiples.join('   ')}   (${base.toFixed(0)} ms without)`)
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
  // What the server does by itself meets one or the other by chance: it is done between the turns instead.
  await sequelize.query(`ALTER TABLE ${how}_books SET (autovacuum_enabled = off)`)
  await sequelize.query(insertSql(how, 1, 20_000))
  await sequelize.query(insertSql(how, 2_000_000, 2_000_000 + 2 * (rounds + 2) * singles))
  await sequelize.query(insertSql(how, 4_000_000, 4_000_000 + most - 1))
  await sequelize.query(`VACUUM ANALYZE ${how}_books`)
  const source = fromModel(Book, { attributes: ['id', 'title', 'pages'], include: [{ association: 'author' }] })
  const definition = defineIndex({ name: 'books', mappings: { properties: {} }, source })
  if (how === 'hooks') installCapture({ sequelize, definitions: [definition], schema, wake: () => {} })
  if (how === 'floor') await installFloor(sequelize)
  if (how !== 'triggers') return
  const db = fromSequelize(sequelize)
  const deps = { store: openStore(db, schema), clock: monotonicClock, onLine: () => {} }
  await installTriggers(deps, joinNeeds(await definition.source.dependencies(db)), { replicated: false })
}

async function installFloor(sequelize: Sequelize): Promise<void> {
  await sequelize.query(`CREATE TABLE floor_changes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, keys text[])`)
  const referencing = { INSERT: 'NEW TABLE AS rows', UPDATE: 'NEW TABLE AS rows', DELETE: 'OLD TABLE AS rows' }
  await sequelize.query(`CREATE FUNCTION floor_capture() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO floor_changes (keys) SELECT array_agg(r.id::text) FROM
      (SELECT id, (row_number() OVER () - 1) / 1000 AS batch FROM rows) r GROUP BY r.batch;
    RETURN NULL; END $$`)
  for (const [event, tables] of Object.entries(referencing)) {
    await sequelize.query(`CREATE TRIGGER floor_${event} AFTER ${event} ON floor_books REFERENCING ${tables}
      FOR EACH STATEMENT EXECUTE FUNCTION floor_capture()`)
  }
}

function insertSql(how: How, from: number, to: number): string {
  return `INSERT INTO ${how}_books (id, title, summary, pages, "authorId")
    SELECT i, 'Book ' || i, '${summary}', i % 900, 1 + i % 1000 FROM generate_series(${from}, ${to}) i`
}

interface Compared {
  work: Work
  rounds: number
}

async function compare(writers: readonly Writer[], schema: string, { work, rounds }: Compared) {
  const times = new Map<How, number[]>(writers.map(({ how }) => [how, []]))
  for (let round = 0; round <= rounds; round++) {
    // Whoever comes first finds other caches than the next: each in its turn.
    const from = round % writers.length
    for (const writer of [...writers.slice(from), ...writers.slice(0, from)]) {
      const started = performance.now()
      await work(writer, round + 1)
      // The first round only warms up.
      if (round > 0) times.get(writer.how)!.push(performance.now() - started)
    }
    await settle(writers, schema, rounds)
  }
  const none = times.get('none')!
  // Of each round by itself: what else the machine does changes from minute to minute.
  const ratio = (how: How) => median(times.get(how)!.map((each, at) => each / none[at]!))
  return { base: median(none), ratios: writers.slice(1).map(({ how }) => [how, ratio(how)] as const) }
}

// As a worker would, and autovacuum. After large writes every table is as large as before.
async function settle(writers: readonly Writer[], schema: string, rounds: number): Promise<void> {
  const { sequelize } = writers[0]!
  await sequelize.query(`TRUNCATE ${schema}.changes, floor_changes`)
  if (rounds !== largeRounds) return
  for (const { how } of writers) {
    await sequelize.query(
      `DELETE FROM ${how}_books WHERE id >= 3000000 AND id NOT BETWEEN 4000000 AND ${4_000_000 + most - 1}`,
    )
    await sequelize.query(`VACUUM ${how}_books`)
  }
}
