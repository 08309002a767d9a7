import { expect } from 'chai'
import process from 'node:process'
import { quoteName, quoteText } from '../../src/sql.ts'
import { below, pick, type Random, randomFrom } from '../support/bookshop.ts'
import { type Change, createTriggered, type Triggered } from './triggers.world.ts'

/** Types, with SQL of some values each. */
const values: Record<string, string[]> = {
  int: ['1', '2', 'NULL'],
  numeric: ['1.0', '1.00', '2', `'NaN'`],
  text: [`'a'`, `'A'`, `''`, 'NULL', `repeat('long', 900)`, `repeat('lung', 900)`, `'"\\{},''$1'`],
  jsonb: [`'{"a": 1}'`, `'{"a": 2}'`, `'[]'`, 'NULL'],
  json: [`'{"a":1}'`, `'{"a": 1}'`, 'NULL'],
  'int[]': [`'{1,2}'`, `'{2,1}'`, `'{NULL}'`],
  timestamptz: [`'2026-01-01 00:00+00'`, `'2026-01-01 01:00+01'`, `'2026-01-02 00:00+00'`],
  point: [`'(1,2)'`, `'(1,3)'`],
  xml: [`'<a/>'`, `'<b/>'`, 'NULL'],
  float8: ['0', `'-0'`, `'NaN'`, '0.1'],
  bytea: [`'\\x00'`, `'\\x01'`],
  int4range: [`'[1,3)'`, `'[1,2]'`, `'[2,5)'`],
}

const types = Object.keys(values)
const kinds = ['', ' PARTITION BY HASH (id)'] as const

interface Columns {
  /** Name of each column and its type. */
  all: Record<string, string>
  columns: string[]
  capture: string[]
}

const rowText = (names: readonly string[]) =>
  `jsonb_build_object(${names.map((each) => `${quoteText(each)}, ${quoteName(each)}::text`).join(', ')})`

describe('triggers under random writes', function () {
  let db: Triggered
  before(async () => db = await createTriggered())
  after(() => db.world.drop())

  for (const kind of kinds) {
    it(`record every row that changes, and no other: ${kind ? 'partitioned' : 'ordinary'} tables`, async () => {
      await db.sql('DROP TABLE IF EXISTS t')
      for (let seed = 1; seed <= Number(process.env['SEEDS'] ?? 4); seed++) {
        const random = randomFrom(seed)
        const made = await makeTable(db, random, kind)
        for (let step = 0; step < 25; step++) await checkStep(db, random, made, `seed ${seed}, step ${step}`)
        await db.sql('DROP TABLE t')
      }
    })
  }
})

async function makeTable(db: Triggered, random: Random, kind: string): Promise<Columns> {
  const all: Record<string, string> = { id: 'int' }
  for (let at = 0; at < 2 + below(random, 8); at++) all[`c'${at}"`] = pick(random, types)
  const names = Object.keys(all).slice(1)
  const some = () => names.filter(() => random() < 0.5)
  const made = { all, columns: some(), capture: ['id', ...some().slice(0, 2)] }
  const list = Object.entries(all).map(([name, type]) => `${quoteName(name)} ${type}`)
  await db.sql(
    `CREATE TABLE t (gone text, ${list.join(', ')}, ${kind ? 'PRIMARY KEY (id)' : 'UNIQUE (id)'})${kind}`,
    'ALTER TABLE t DROP gone',
    ...kind
      ? [0, 1].map((at) => `CREATE TABLE t_${at} PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER ${at})`)
      : [],
  )
  await db.install({ table: 'public.t', ...made })
  await db.recorded()
  return made
}

function write(random: Random, { all }: Columns): string {
  const names = Object.keys(all).slice(1)
  const value = (name: string) => pick(random, values[all[name]!]!)
  const row = () => `(${[below(random, 12), ...names.map(value)].join(', ')})`
  const set = names.filter(() => random() < 0.3).map((each) => `${quoteName(each)} = ${value(each)}`).join(', ') ||
    'id = t.id'
  const where = `WHERE id % ${1 + below(random, 4)} = 0`
  const insert = `INSERT INTO t VALUES ${row()}`
  const cases = names.map((each) =>
    `${quoteName(each)} = CASE WHEN id % 2 = 0 THEN ${value(each)} ELSE ${quoteName(each)} END`
  ).join(
    ', ',
  )
  return pick(random, [
    () => `${insert} ON CONFLICT DO NOTHING`,
    () => `${insert} ON CONFLICT DO NOTHING`,
    () => `${insert} ON CONFLICT (id) DO UPDATE SET ${set}`,
    () => `UPDATE t SET ${set} ${where}`,
    () => `UPDATE t SET ${set} ${where}`,
    () => `UPDATE t SET ${cases}`,
    () => `UPDATE t SET id = id + ${1000 * below(random, 1_000_000)} ${where}`,
    () => `DELETE FROM t ${where} AND id % 3 = 0`,
    () =>
      `WITH gone AS (DELETE FROM t ${where} RETURNING *) INSERT INTO t SELECT id + ${100 * below(random, 3)}, ${
        names.map(quoteName)
      } FROM gone`,
  ])()
}

/** Images of the rows by key: of what is recorded, and of what is read. */
async function imagesOf(
  db: Triggered,
  { columns, capture }: Columns,
): Promise<Map<string, { capture: string; read: string; row: Record<string, string> }>> {
  const rows = await db.sql<{ id: string; capture: object; read: Record<string, string> }>(
    `SELECT id::text, ${rowText(capture)} AS capture, ${
      rowText([...new Set([...columns, ...capture])])
    } AS read FROM t`,
  )
  return new Map(
    rows.map((
      each,
    ) => [each.id, { capture: JSON.stringify(each.capture), read: JSON.stringify(each.read), row: each.read }]),
  )
}

async function checkStep(db: Triggered, random: Random, made: Columns, where: string): Promise<void> {
  const before = await imagesOf(db, made)
  const sql = write(random, made)
  await db.sql(sql)
  const after = await imagesOf(db, made)
  const changes = await db.recorded()
  const said = `${where}: ${sql}`
  const recorded = new Set(changes.flatMap((each) => each.rows!.map((row) => JSON.stringify(row))))
  const wanted = new Set<string>()
  const names = new Set<string>()
  let isWhole = false
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(key), after.get(key)]
    if (was?.read === is?.read) continue
    for (const each of [was, is]) if (each) wanted.add(each.capture)
    if (!was || !is) isWhole = true
    else for (const name of Object.keys(was.row)) if (was.row[name] !== is.row[name]) names.add(name)
  }
  expect([...wanted].filter((each) => !recorded.has(each)), said).to.deep.equal([])
  if (wanted.size === 0) expect(changes.filter((each) => !isMoved(each)), said).to.deep.equal([])
  else if (!isWhole) expect(namesOf(changes), said).to.deep.equal([...names].sort())
}

// A row that is deleted and inserted, or goes to another partition and back, may be the same in the end.
function isMoved({ columns }: Change): boolean {
  return columns === null
}

function namesOf(changes: readonly Change[]): string[] {
  return [...new Set(changes.flatMap((each) => each.columns ?? []))].sort()
}
