/**
 * Reads the documents of a model in both ways, so that they can be compared.
 * @module
 */
import { expect } from 'chai'
import type { Model, ModelStatic } from 'sequelize'
import { fromModel, type FromModelOptions } from '../../adapters/sequelize/index.ts'
import { prepareReading, type Reading } from '../../adapters/sequelize/reading.ts'
import { resolvePlan } from '../../adapters/sequelize/plan.ts'
import type { Db, Documents, KeyRange, Source } from '../../src/ports.ts'

/** Documents by key. */
export type ByKey = Map<string, unknown>

/** All pages of a source in small steps. */
export async function readAll(
  source: Source,
  db: Db,
  rows = 7,
  range: KeyRange = { after: null, upTo: null },
): Promise<ByKey> {
  const found: ByKey = new Map()
  for (let after = range.after;;) {
    const page = await source.page(db, { after, upTo: range.upTo }, { rows, bytes: 1e6 }, '5')
    if (page.last === null) return found
    for (const [key, document] of parsed(page)) found.set(key, document)
    after = page.last
  }
}

/** The documents of a body, by the id of their action line. */
export function parsed({ body }: Documents): ByKey {
  const lines = body.split('\n').slice(0, -1).map((each) => JSON.parse(each) as Record<string, { _id: string }>)
  return new Map(lines.flatMap((line, at) => at % 2 === 0 ? [[line['index']!._id, lines[at + 1] as unknown]] : []))
}

/** How a source is read. */
export async function readingOf(db: Db, model: ModelStatic<Model>, options: FromModelOptions): Promise<Reading> {
  const { document, ...finder } = options
  return await prepareReading(db, resolvePlan(model, finder), document as never)
}

/** Reads both ways, holds them equal, and gives the documents. Fails when PostgreSQL cannot make them. */
export async function expectBothWays(
  db: Db,
  model: ModelStatic<Model>,
  options: FromModelOptions = {},
): Promise<ByKey> {
  const { reason } = await readingOf(db, model, options)
  expect(reason, 'the reason why PostgreSQL does not make the documents').to.equal(undefined)
  const sql = await readAll(fromModel(model, options), db)
  const instances = await readAll(fromModel(model, { ...options, document: (row) => row }), db)
  expect([...sql.keys()]).to.deep.equal([...instances.keys()])
  for (const [key, document] of sql) expect(document, `document ${key}`).to.deep.equal(instances.get(key))
  return sql
}
