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
import { ElasticUmzugError } from '../../src/errors.ts'
import type { Definition } from '../../src/search/definition.ts'
import { watchMs } from '../../src/ports.ts'
import { quoteTable } from '../../src/sql.ts'
import { type Catalog, catalogSql, parseCatalog } from './capture/catalog.ts'
import { destroyByHooks } from './capture/hooks.ts'
import { type Capture, capture } from './capture/record.ts'
import { askRegistered, type Fresh } from './capture/registered.ts'
import { type Run, runIn, transactionOf } from './capture/session.ts'
import { tableNamed, type Watch, watchOf } from './capture/watch.ts'
import { describeWrite, type Method, methods, type QueryInterfaceLike } from './capture/writes.ts'
import { tableId } from './tables.ts'

/** What is captured, and where to. */
export interface CaptureOptions {
  sequelize: Sequelize
  /** Their tables are watched; sources not made by `fromModel`, or of another instance, are left out. */
  definitions: readonly Definition[]
  /** Schema of the own tables. */
  schema: string
  /** Called after a recorded write is committed; a hint, also after some that were not. */
  wake(): void
  /** Told what cannot be captured, once for each table. */
  onWarning?(line: string): void
}

/** After this many milliseconds the catalog is read again: a new foreign key, trigger or rule is seen by then. */
const catalogMs = 10_000

/** Part of `watchMs` after which one write asks anew while the others go on. */
const softShare = 0.5

interface Installation {
  sequelize: Sequelize
  queryInterface: QueryInterfaceLike & Record<string, Method>
  schema: string
  members: Set<CaptureOptions>
  /** What the definitions of this code read. */
  own: Watch
  /** The same with what registered versions read, as last answered. */
  fresh: Fresh | undefined
  /** True while a write asks before it has to. */
  asking: boolean
  catalog: { known: Catalog; watch: Watch } | undefined
  /** When the catalog was read. */
  readAtMs: number
  warned: Set<string>
  waking: WeakSet<object>
  unwrap(): void
}

const installations = new WeakMap<object, Installation>()

/**
 * Starts to record what is written to the tables that the definitions read; gives the function that takes it back.
 *
 * A write that cannot be recorded fails, with an error that says why: otherwise its change would be lost.
 * Throws `CONFIG_INVALID` when the instance already records into another schema.
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
    installation.unwrap = wrapMethods(installation)
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
    members: new Set(),
    own: new Map(),
    fresh: undefined,
    asking: false,
    catalog: undefined,
    readAtMs: -Infinity,
    warned: new Set(),
    waking: new WeakSet(),
    unwrap: () => {},
  }
}

function setMembers(installation: Installation, members: readonly CaptureOptions[]): void {
  // First, for it throws when a source cannot be read: nothing is changed then.
  installation.own = watchOf(installation.sequelize, members.flatMap((each) => each.definitions))
  installation.members = new Set(members)
  installation.fresh = undefined
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
  const run = runIn(self.sequelize, transactionOf(self.sequelize, write.options))
  const watch = await watchFor(installation, run).catch((error) => explain(error, installation))
  const adds = write.kind === 'insert' || write.kind === 'upsert'
  if (adds && !watch.has(tableId(tableNamed(write.tableName)))) return await original.apply(self, given)
  const catalog = await catalogFor(installation, run, watch)
  return await capture(captureOf(installation, { catalog, watch }, self), write)
    .catch((error) => explain(error, installation))
}

type View = Pick<Capture, 'catalog' | 'watch'>

function captureOf({ schema, waking, members }: Installation, view: View, self: QueryInterfaceLike): Capture {
  const changes = quoteTable({ schema, name: 'changes' })
  const wake = () => members.forEach((each) => each.wake())
  return { ...view, sequelize: self.sequelize, queryInterface: self, changes, waking, wake }
}

// Asked on the writer's own connection: with a pool of one there is no other. An answer that is too old is used by no
// write, whoever else is asking: a version may have been registered since, and populated right after.
async function watchFor(installation: Installation, run: Run): Promise<Watch> {
  const { fresh, asking } = installation
  const ageMs = fresh ? performance.now() - fresh.askedAtMs : Infinity
  if (fresh && (ageMs < watchMs * softShare || (asking && ageMs < watchMs))) return fresh.watch
  installation.asking = true
  try {
    return keep(installation, await askRegistered(run, installation.own, installation.schema))
  } finally {
    installation.asking = false
  }
}

function keep(installation: Installation, answer: Fresh): Watch {
  const { fresh } = installation
  // The same object for the same answer, so that what is known of the catalog stays known.
  const same = fresh?.text === answer.text ? { ...answer, watch: fresh.watch } : answer
  if (!fresh || fresh.askedAtMs < same.askedAtMs) installation.fresh = same
  return same.watch
}

async function catalogFor(installation: Installation, run: Run, watch: Watch): Promise<Catalog> {
  const { catalog, readAtMs } = installation
  if (catalog?.watch === watch && performance.now() - readAtMs < catalogMs) return catalog.known
  // From now on the others go on with the old one, until this one is read.
  installation.readAtMs = performance.now()
  const [row] = await run<{ catalog: string }>(catalogSql, [[...watch.keys()]]).catch((error) => {
    installation.readAtMs = -Infinity
    throw error
  })
  const known = parseCatalog(row!.catalog, watch)
  installation.catalog = { known, watch }
  warnOfUnfit(installation, known, watch)
  return known
}

function warnOfUnfit(installation: Installation, catalog: Catalog, watch: Watch): void {
  for (const id of watch.keys()) {
    if (!catalog.unfit(id) || installation.warned.has(id)) continue
    installation.warned.add(id)
    const line =
      `Writes to ${id} are not captured: it is a view or has rules. Their documents change only with a new version.`
    installation.members.forEach((each) => each.onWarning?.(line))
  }
}

function explain(error: unknown, { schema }: Installation): never {
  const { parent } = error as { parent?: { code?: string; message?: string } }
  if (parent?.code === '42P01' && parent.message?.includes(`"${schema}.`)) {
    throw new ElasticUmzugError(
      'SCHEMA_MISSING',
      `A write was refused: its change cannot be recorded in the schema ${schema}.`,
      {
        next: 'npx umzug up',
        cause: error,
      },
    )
  }
  throw error
}
