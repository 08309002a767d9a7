/**
 * Capture of writes through Sequelize.
 *
 * Every write of every model, with or without hooks, ends in one statement that the query interface of the instance
 * sends. That is where it is recorded: in the same statement, so no crash comes between, and with PostgreSQL's own
 * text of the rows really written. Where rows leave what showed them, or take others along, they are locked and read
 * first, in the writer's transaction or, without one, in one of our own around this single write.
 * @module
 */
import type { Sequelize } from 'sequelize'
import type { CaptureMode, ModeOf, OnBypass } from '../../src/config.ts'
import { ElasticUmzugError } from '../../src/errors.ts'
import type { Definition } from '../../src/search/definition.ts'
import { marginMs, watchMs } from '../../src/ports.ts'
import { quoteTable } from '../../src/sql.ts'
import { manyText } from './capture/cascade.ts'
import type { Catalog } from './capture/catalog.ts'
import { type Bypass, interceptQueries } from './capture/bypass.ts'
import { insertWhole } from './capture/changes.ts'
import { explain } from './capture/explain.ts'
import { destroyByHooks } from './capture/hooks.ts'
import {
  catalogOf,
  type Knowledge,
  knowNothing,
  learn,
  learnAgain,
  type Learned,
  type Session,
} from './capture/known.ts'
import { type Capture, capture } from './capture/record.ts'
import { afterCommit, runIn, spoil, transactionOf } from './capture/session.ts'
import { grown, tableNamed, type Watch, watchOf } from './capture/watch.ts'
import { describeWrite, type Method, methods, type QueryInterfaceLike, type Write } from './capture/writes.ts'
import { tableId } from './tables.ts'

/** What is captured, and where to. */
export interface CaptureOptions {
  sequelize: Sequelize
  /** Their tables are watched; sources not made by `fromModel`, or of another instance, are left out. */
  definitions: readonly Definition[]
  /** How tables are captured; default all by hooks. */
  modeOf?: ModeOf
  /** Schema of the own tables. */
  schema: string
  /** Called after a recorded write is committed; a hint, also after some that were not. */
  wake(): void
  /** Told what cannot be captured, once for each table. */
  onWarning?(line: string): void
  /** What is done about raw statements; default `capture`. The strictest counts where several are given. */
  onBypass?: OnBypass
}

/**
 * After this many milliseconds a write may have arrived when those who wait for the writers that do not know a version
 * have stopped waiting. A tenth less, for timers ring early and clocks differ.
 */
const lateMs = watchMs + marginMs * 0.9

interface Installation {
  sequelize: Sequelize
  queryInterface: QueryInterfaceLike & Record<string, Method>
  schema: string
  /** Quoted name of the table of changes. */
  changes: string
  members: Set<CaptureOptions>
  knowledge: Knowledge
  warned: Set<string>
  waking: WeakSet<object>
  unwrap(): void
}

const installations = new WeakMap<object, Installation>()

/**
 * Starts to record what is written to the tables that the definitions read; gives the function that takes it back.
 *
 * A write that cannot be recorded fails, with an error that says why: otherwise its change would be lost.
 * Throws `CONFIG_INVALID` when the instance already records into another schema, or has a table captured otherwise.
 */
export function installCapture(options: CaptureOptions): () => void {
  const { sequelize, schema } = options
  const known = installations.get(sequelize)
  if (known && known.schema !== schema) {
    throw new ElasticUmzugError(
      'CONFIG_INVALID',
      `This Sequelize instance already records its changes in the schema "${known.schema}", not in "${schema}".`,
      { next: 'give both plugins the same `schema`, or stop() the first' },
    )
  }
  const installation = known ?? emptyInstallation(options)
  setMembers(installation, [...installation.members, options])
  if (!known) {
    installations.set(sequelize, installation)
    const undo = [wrapMethods(installation), interceptQueries(bypassOf(installation))]
    installation.unwrap = () => undo.forEach((each) => each())
  }
  return () => {
    if (!installation.members.has(options)) return
    setMembers(installation, [...installation.members].filter((each) => each !== options))
    if (installation.members.size > 0) return
    installation.unwrap()
    installations.delete(sequelize)
  }
}

function emptyInstallation({ sequelize, schema }: CaptureOptions): Installation {
  const queryInterface = sequelize.getQueryInterface() as unknown as Installation['queryInterface']
  return {
    sequelize,
    queryInterface,
    schema,
    changes: quoteTable({ schema, name: 'changes' }),
    members: new Set(),
    knowledge: knowNothing({ own: new Map(), schema, isLeft: () => false, onCatalog: () => {} }),
    warned: new Set(),
    waking: new WeakSet(),
    unwrap: () => {},
  }
}

function setMembers(installation: Installation, members: readonly CaptureOptions[]): void {
  // First, for it throws when a source cannot be read: nothing is changed then.
  const own = watchOf(installation.sequelize, members.flatMap((each) => each.definitions))
  for (const table of own.keys()) assertOneMode(table, modesFor(members, table))
  const isLeft = (table: string) => modesFor(members, table).join() === 'triggers'
  const onCatalog = (catalog: Catalog, watch: Watch) => warnOfUnfit(installation, catalog, watch)
  installation.members = new Set(members)
  installation.knowledge = knowNothing({ own, schema: installation.schema, isLeft, onCatalog })
}

function modesFor(members: readonly CaptureOptions[], table: string): CaptureMode[] {
  const modes = members.map(({ modeOf }) => modeOf ? modeOf(table) : 'hooks').filter((each) => each !== undefined)
  return [...new Set(modes)]
}

function assertOneMode(table: string, { length }: readonly CaptureMode[]): void {
  if (length < 2) return
  throw new ElasticUmzugError(
    'CONFIG_INVALID',
    `Two plugins on one Sequelize instance have ${table} captured differently, by hooks and by triggers.`,
    { next: 'give both the same `capture`' },
  )
}

function wrapMethods(installation: Installation): () => void {
  const { queryInterface } = installation
  const restores = Object.keys(methods).map((name) => {
    const inherited = !Object.hasOwn(queryInterface, name)
    const original = queryInterface[name]!
    const wrapped: Method = function (...args) {
      if (installation.members.size === 0) return original.apply(this, args)
      return record(installation, { name, original, args, self: this as QueryInterfaceLike })
    }
    queryInterface[name] = wrapped
    return () => {
      // Where somebody wrapped ours, it stays below theirs and passes everything on.
      if (queryInterface[name] !== wrapped) return
      if (inherited) delete queryInterface[name]
      else queryInterface[name] = original
    }
  })
  return () => restores.forEach((each) => each())
}

function bypassOf(installation: Installation): Bypass {
  const { sequelize, changes, waking } = installation
  return {
    sequelize,
    changes,
    knowledge: () => installation.knowledge,
    onBypass() {
      const asked = [...installation.members].map(({ onBypass = 'capture' }) => onBypass)
      return (['error', 'capture', 'warn'] as const).find((each) => asked.includes(each)) ?? 'capture'
    },
    onWarning: (line) => installation.members.forEach((each) => each.onWarning?.(line)),
    wake: (transaction) => afterCommit(transaction, waking, () => wake(installation)),
    afterWrite: (tables, session, planned) => afterWrite(installation, { tables, session, planned }),
    onMany: (table) => warnOnce(installation, manyText(table)),
    explain: (error) => explain(error, installation.schema),
  }
}

interface Call {
  name: string
  original: Method
  args: unknown[]
  /** The query interface, or what somebody derived from it. */
  self: QueryInterfaceLike
}

async function record(installation: Installation, { name, original, args, self }: Call): Promise<unknown> {
  const given = name === 'delete' ? await destroyByHooks(args) : args
  const write = describeWrite(name, original, given)
  const transaction = transactionOf(self.sequelize, write.options)
  const session = { run: runIn(self.sequelize, transaction), transaction }
  try {
    const planned = await learn(installation.knowledge, session)
    const result = await send(installation, { write, self, session, planned }, () => write.pass(self, write.options))
    await afterWrite(installation, { tables: [tableId(tableNamed(write.tableName))], session, planned })
    return result
  } catch (error) {
    return explain(error, installation.schema)
  }
}

interface Planned {
  write: Write
  session: Session
  planned: Learned
}

type Written = Pick<Planned, 'session' | 'planned'> & { tables: readonly string[] }

async function send(
  installation: Installation,
  { write, self, session, planned }: Planned & Pick<Call, 'self'>,
  pass: () => Promise<unknown>,
): Promise<unknown> {
  const { watch, record } = planned.fresh
  const adds = write.kind === 'insert' || write.kind === 'upsert'
  if (watch.size === 0) return await pass()
  if (adds && !watch.has(tableId(tableNamed(write.tableName)))) return await pass()
  const catalog = await catalogOf(installation.knowledge, planned, session)
  return await capture(captureOf(installation, { catalog, watch, record }, self), write)
}

async function afterWrite(installation: Installation, written: Written): Promise<void> {
  const { tables, session: { transaction }, planned: { fresh } } = written
  if (tables.some((each) => fresh.left.has(each))) {
    afterCommit(transaction, installation.waking, () => wake(installation))
  }
  if (performance.now() - fresh.askedAtMs > lateMs) await recordLate(installation, written)
}

// A version registered meanwhile may have been populated before this write arrived: of what only it reads, the rows
// that were written are not known any more.
async function recordLate(installation: Installation, { tables, session, planned }: Written): Promise<void> {
  const { knowledge, changes, waking } = installation
  const { run, transaction } = session
  const now = await learnAgain(knowledge, session, lateMs).catch(async (error) => {
    if (transaction) await spoil(run)
    throw error
  })
  const more = grown(planned.fresh.watch, now.fresh.watch)
  if (more.length === 0) return
  const catalog = await catalogOf(knowledge, now, session)
  const reached = new Set(tables.flatMap((each) => [each, ...catalog.truncated(each)]))
  for (const each of more.filter(({ table }) => reached.has(tableId(table)))) {
    await run(insertWhole(changes, each))
  }
  afterCommit(transaction, waking, () => wake(installation))
}

type View = Pick<Capture, 'catalog' | 'watch' | 'record'>

function captureOf(installation: Installation, view: View, self: QueryInterfaceLike): Capture {
  const { changes, waking } = installation
  return {
    ...view,
    sequelize: self.sequelize,
    queryInterface: self,
    changes,
    waking,
    wake: () => wake(installation),
    onMany: (table) => warnOnce(installation, manyText(table)),
  }
}

function wake({ members }: Installation): void {
  members.forEach((each) => each.wake())
}

function warnOfUnfit(installation: Installation, catalog: Catalog, watch: Watch): void {
  for (const id of watch.keys()) {
    if (!catalog.unfit(id)) continue
    const why = 'it is a view or has rules. Their documents change only with a new version.'
    warnOnce(installation, `Writes to ${id} are not captured: ${why}`)
  }
}

function warnOnce({ warned, members }: Installation, line: string): void {
  if (warned.has(line)) return
  warned.add(line)
  members.forEach((each) => each.onWarning?.(line))
}
