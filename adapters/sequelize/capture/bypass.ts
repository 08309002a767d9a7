/**
 * Statements that come past the models: `sequelize.query`, whatever it is called on.
 *
 * Sequelize makes one query object for every statement, after it has put in the values and chosen the connection. Its class
 * is taken over for one instance: there a statement is looked at before it is sent, and what it writes is recorded on
 * the same connection. The server's answer is made what it would have been; all that Sequelize does with it stays its own.
 * @module
 */
import type { Sequelize, Transaction } from 'sequelize'
import type { OnBypass } from '../../../src/config.ts'
import { ElasticUmzugError, isOwnError } from '../../../src/errors.ts'
import { answering, withoutRows } from './answers.ts'
import { mayWrite, type Reading, readWrites } from './bypass-read.ts'
import { type Plan, planOf } from './bypass-plan.ts'
import { type ConnectionLike, type ResultLike, runOn, sendPlanned } from './bypass-send.ts'
import { type Meant, meantBy } from './bypass-tables.ts'
import { catalogOf, type Knowledge, learn, type Learned, type Session } from './known.ts'
import { isKnown, isRowless } from './session.ts'
import { type AnyModel, tableId, tableOf } from '../tables.ts'
import type { Catalog } from './catalog.ts'
import type { QueryInterfaceLike } from './writes.ts'

/** What the statements are recorded by. */
export interface Bypass {
  sequelize: Sequelize
  /** Quoted name of the table of changes. */
  changes: string
  knowledge(): Knowledge
  onBypass(): OnBypass
  /** Told what is not recorded, or only at a high price; once for each table and kind of statement. */
  onWarning(line: string): void
  /** Called when a recorded statement is done. */
  wake(transaction: Transaction | null): void
  /** Called when a statement that may have written to these tables is done. */
  afterWrite(tables: readonly string[], session: Session, learned: Learned): Promise<void>
  /** Told of a table of which too many rows are written at once to know them one by one. */
  onMany(table: string): void
  /** Says more about an error of our own statements. */
  explain(error: unknown): never
}

interface QueryLike {
  connection: ConnectionLike
  options: { transaction?: Transaction | null; searchPath?: string; [isKnown]?: true; [isRowless]?: true }
  run(sql: string, parameters?: unknown[]): Promise<unknown>
  formatError(error: unknown, stack: string): Error
}

type QueryClass = new (...args: never[]) => QueryLike

/** Takes over the statements of an instance; gives the function that takes it back. */
export function interceptQueries(bypass: Bypass): () => void {
  const { dialect } = bypass.sequelize as unknown as { dialect: { Query: QueryClass } }
  const isInherited = !Object.hasOwn(dialect, 'Query')
  const original = dialect.Query
  const warned = new Set<string>()
  let isOn = true
  class Looking extends original {
    override run(sql: string, parameters?: unknown[]): Promise<unknown> {
      const pass = () => super.run(sql, parameters)
      if (this.options[isRowless]) return withoutRows(this, pass)
      if (!isOn || this.options[isKnown] || !mayWrite(sql)) return pass()
      return runRecorded(bypass, { query: this, sql, parameters: parameters ?? [], pass, warned })
    }
  }
  dialect.Query = Looking
  return () => {
    isOn = false
    // Where somebody took over ours, it stays below theirs and passes everything on.
    if (dialect.Query !== Looking) return
    if (isInherited) delete (dialect as Partial<typeof dialect>).Query
    else dialect.Query = original
  }
}

interface Call {
  query: QueryLike
  sql: string
  parameters: unknown[]
  /** What Sequelize would have done. */
  pass(): Promise<unknown>
  /** What was told already. */
  warned: Set<string>
}

/** What is known of a statement. */
interface Planned {
  /** Undefined when no document reads what it writes. */
  plan: Plan | undefined
  reading: Reading
  /** Ids of the tables that it writes, as far as they are known. */
  tables: string[]
  session: Session
  learned: Learned
  catalog: Catalog
}

async function runRecorded(bypass: Bypass, call: Call): Promise<unknown> {
  const { query, sql, pass } = call
  const reading = await readWrites(sql)
  if (!reading) return await pass()
  const planned = await prepare(bypass, query, reading).catch((error) => fail(bypass, call, error))
  const send = decide(bypass, call, planned)
  const result = await (send ? through(call, send) : pass()).catch((error) => bypass.explain(error))
  await bypass.afterWrite(planned.tables, planned.session, planned.learned)
  return result
}

async function prepare(bypass: Bypass, query: QueryLike, reading: Reading): Promise<Planned> {
  const session = { run: runOn(query.connection), transaction: query.options.transaction ?? null }
  const knowledge = bypass.knowledge()
  const learned = await learn(knowledge, session)
  const catalog = await catalogOf(knowledge, learned, session)
  const view = { watch: learned.fresh.watch, catalog }
  const { searchPath } = query.options
  if (searchPath) await session.run(`SET search_path TO ${searchPath}`)
  const meant: (Meant | undefined)[] = []
  for (const each of reading.targets) meant.push(await meantBy(session.run, view, each))
  const plan = planOf(view, reading, meant)
  const named = meant.flatMap((each) => each ? [each.id, ...each.below] : [])
  const whole = plan?.how === 'whole' ? plan.tables.map(({ table }) => tableId(table)) : []
  return { plan, reading, tables: [...new Set([...named, ...whole])], session, learned, catalog }
}

// How it is sent; undefined for as it is. Throws `CAPTURE_BYPASSED` before anything is sent.
function decide(bypass: Bypass, call: Call, planned: Planned): (() => Promise<ResultLike>) | undefined {
  const { plan, session: { run, transaction }, learned, catalog } = planned
  const how = bypass.onBypass()
  if (!plan) return undefined
  if (how === 'error') throw bypassed(bypass, planned)
  if (how === 'capture') tellTrouble(bypass, call, planned.reading)
  if (plan.how === 'unseen' || how === 'warn') {
    warn(bypass, call, planned, 'is not recorded, and its documents stay as they are')
    return undefined
  }
  if (plan.how === 'whole' && !plan.isEmptying) {
    warn(
      bypass,
      call,
      planned,
      'does not tell what its rows were, so each time every document that shows the table is written',
    )
  }
  const { queryGenerator: generator } = bypass.sequelize.getQueryInterface() as unknown as QueryInterfaceLike
  const { changes, onMany } = bypass
  const recorder = { run, changes, watch: learned.fresh.watch, catalog, generator, onMany }
  const { query: { connection }, sql, parameters } = call
  return async () => {
    const result = await sendPlanned({ connection, transaction, sql, parameters, recorder }, plan)
    bypass.wake(transaction)
    return result
  }
}

// Sequelize goes on from the answer as if the server had given it.
async function through({ query, pass }: Call, send: () => Promise<ResultLike>): Promise<unknown> {
  try {
    return await answering(query, send, pass)
  } catch (error) {
    const { parent } = error as { parent?: unknown }
    throw isOwnError(parent) ? parent : error
  }
}

// The caller reads of the statement that it gave.
function fail(bypass: Bypass, { query, sql, parameters }: Call, error: unknown): never {
  if (isOwnError(error)) throw error
  const formatted = query.formatError(
    Object.assign(error as object, { sql, parameters }),
    String((error as Error).stack),
  )
  return bypass.explain(formatted)
}

function warn(bypass: Bypass, { warned }: Call, planned: Planned, what: string): void {
  const { kind } = planned.reading
  const names = namesOf(planned)
  const key = `${kind} ${names}`
  if (warned.has(key)) return
  warned.add(key)
  bypass.onWarning(`A raw ${kind} (${names}) ${what}. ${adviceOf(bypass, planned)}`)
}

function tellTrouble(bypass: Bypass, { warned }: Call, { trouble }: Reading): void {
  if (trouble === undefined || warned.has(trouble)) return
  warned.add(trouble)
  bypass.onWarning(
    `No raw statement can be read, so each is recorded as a change of every table that it names. ${trouble}. ${noParser}`,
  )
}

const noParser = 'Where the application is bundled, leave libpg-query out of the bundle and install it beside'

function bypassed(bypass: Bypass, planned: Planned): ElasticUmzugError {
  const { kind, trouble } = planned.reading
  return new ElasticUmzugError(
    'CAPTURE_BYPASSED',
    `A raw ${kind} (${namesOf(planned)}) was refused: it does not come through a model.${
      trouble ? ` ${trouble}.` : ''
    }`,
    { next: trouble ? noParser : adviceOf(bypass, planned) },
  )
}

// Those whose documents are concerned, if they are known.
function concerned({ plan, tables, learned }: Planned): string[] {
  if (plan?.how === 'whole') return plan.tables.map(({ table }) => tableId(table))
  const watched = tables.filter((each) => learned.fresh.watch.has(each))
  return watched.length > 0 ? watched : tables
}

function namesOf(planned: Planned): string {
  return concerned(planned).join(', ')
}

function adviceOf({ sequelize }: Bypass, planned: Planned): string {
  const models = Object.values(sequelize.models) as AnyModel[]
  const names = concerned(planned).map((id) => models.find((each) => tableId(tableOf(each)) === id)?.name ?? `'${id}'`)
  return `use the model, or triggers: capture: { ${names.map((each) => `${each}: 'triggers'`).join(', ')} }`
}
