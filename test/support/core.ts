/**
 * The core on real servers with the books of `simple_source.ts`, and ports that a spec can halt between two steps.
 * @module
 */
import type { Client } from '@elastic/elasticsearch'
import { fromElasticsearch } from '../../adapters/elasticsearch/client.ts'
import { monotonicClock } from '../../adapters/clock.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { createEmitter, type Emitter } from '../../src/events.ts'
import type { Clock, Db, Queryable, SearchClient, SearchRequest, Source } from '../../src/ports.ts'
import { dispatch, markNow } from '../../src/queue/changes.ts'
import { drain } from '../../src/queue/drain.ts'
import { processBatch, type Served } from '../../src/queue/process.ts'
import { servedVersions, type WorkerOptions } from '../../src/queue/worker.ts'
import { defineIndex, type Definition } from '../../src/search/definition.ts'
import { createVersion, fillVersion, type LifecycleDeps } from '../../src/search/lifecycle.ts'
import { readVersion, type Version } from '../../src/search/versions.ts'
import { applySchema } from '../../src/store/schema.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { bookMappings, bookSource, bookTables } from './simple_source.ts'
import { createWorld, type World, type WorldServers } from './world.ts'

/** A world with the own tables, the books and one definition. */
export interface Core {
  world: World
  db: Db
  store: Store
  search: SearchClient
  client: Client
  emitter: Emitter
  /** Lines that the lifecycle told. */
  lines: string[]
  books: Definition
  options(changes?: Partial<WorkerOptions>): WorkerOptions
  lifecycle(changes?: Partial<WorkerOptions> & { signal?: AbortSignal }): LifecycleDeps
  /** Runs SQL as the application. */
  sql<Row extends object = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>
  drop(): Promise<void>
}

/** Makes a world for the core. */
export async function createCore(servers?: WorldServers): Promise<Core> {
  const world = await createWorld(servers)
  const db = fromSequelize(world.sequelize)
  const store = openStore(db, 'elastic_umzug')
  await applySchema(store)
  for (const each of bookTables) await db.query(each)
  const search = fromElasticsearch(world.client)
  const emitter = createEmitter()
  const books = defineBooks()
  const lines: string[] = []
  const options = (changes: Partial<WorkerOptions> = {}): WorkerOptions => ({
    store,
    search,
    clock: monotonicClock,
    emitter,
    prefix: world.prefix,
    definitions: [books],
    leaseMs: 30_000,
    maxAttempts: 3,
    batchSize: 500,
    concurrency: 2,
    pollMs: 25,
    listen: false,
    abandonMs: 3_600_000,
    ...changes,
  })
  return {
    world,
    db,
    store,
    search,
    client: world.client,
    emitter,
    lines,
    books,
    options,
    lifecycle: (changes = {}) => lifecycle(options(changes), lines, changes.signal),
    sql: (text, values) => db.query(text, values),
    drop: () => world.drop(),
  }
}

/** A definition of the books; a revision makes it another. */
export function defineBooks(revision?: string, source: Source = bookSource(), name: string = 'books'): Definition {
  return defineIndex({ name, mappings: bookMappings, source, ...(revision === undefined ? {} : { revision }) })
}

function lifecycle(options: WorkerOptions, lines: string[], signal: AbortSignal | undefined): LifecycleDeps {
  return {
    ...options,
    tag: null,
    workers: options.concurrency,
    signal,
    onLine: (line) => void lines.push(line),
    assertHeld() {},
    prepareCapture: () => Promise.resolve(),
    dispatched: () => Promise.resolve(),
    mark: () => markNow(options.store),
    async drain(version, limits = {}) {
      const work = (await servedVersions(options)).some((each) => each.version.id === version.id)
      return await drain(options, { versionIds: [version.id], work, signal, ...limits })
    },
  }
}

/** Creates a version and fills it. */
export async function readyVersion(core: Core, definition: Definition = core.books): Promise<Version> {
  const deps = core.lifecycle({ definitions: [definition] })
  return await fillVersion(deps, await createVersion(deps, definition), definition)
}

/** The version as a worker of this code serves it now. */
export async function serve(core: Core, { id }: Version, definition: Definition = core.books): Promise<Served> {
  return { version: await readVersion(core.store, id), source: definition.source }
}

/** Writes books and captures them, in one transaction, as hooks would. */
export async function write(core: Core, books: { id: number; title: string; author?: number }[]): Promise<void> {
  await core.db.transaction(async (tx) => {
    await tx.query(
      `INSERT INTO books (id, title, author_id) SELECT * FROM unnest($1::int[], $2::text[], $3::int[])
       ON CONFLICT (id) DO UPDATE SET title = excluded.title, author_id = excluded.author_id`,
      [books.map((each) => each.id), books.map((each) => each.title), books.map((each) => each.author ?? null)],
    )
    await capture(tx, 'public.books', books.map((each) => each.id))
  })
}

/** Deletes books and captures them. */
export async function remove(core: Core, ids: number[]): Promise<void> {
  await core.db.transaction(async (tx) => {
    await tx.query('DELETE FROM books WHERE id = ANY ($1::int[])', [ids])
    await capture(tx, 'public.books', ids)
  })
}

/** Captures changed rows of a table; null captures a TRUNCATE. */
export async function capture(tx: Queryable, table: string, ids: number[] | null, columns?: string[]): Promise<void> {
  await tx.query(`INSERT INTO elastic_umzug.changes (table_name, rows, columns) VALUES ($1, $2::jsonb, $3)`, [
    table,
    ids && JSON.stringify(ids.map((id) => ({ id: String(id) }))),
    columns ?? null,
  ])
}

/** Dispatches everything that waits. */
export async function dispatchAll(core: Core): Promise<void> {
  while (await dispatch(core.store) > 0);
}

/** Dispatches, then processes until nothing is due. */
export async function process(core: Core, served: Served, changes: Partial<WorkerOptions> = {}): Promise<void> {
  await dispatchAll(core)
  const options = core.options(changes)
  while ((await processBatch(options, served, options.batchSize)).claimed > 0);
}

/** A pending row. */
export interface PendingRow {
  version: string
  key: string
  generation: string
  oldest: string
  merged: string | null
  token: string | null
  attempts: number
  error: string | null
  aborted: boolean
}

/** The pending rows, in key order. */
export async function pendingRows(core: Core): Promise<PendingRow[]> {
  return await core.sql<PendingRow>(
    `SELECT version_id AS version, key, generation, oldest_change AS oldest, merged_change AS merged, token, attempts, error,
       aborted_at IS NOT NULL AS aborted FROM elastic_umzug.pending ORDER BY version_id, key`,
  )
}

/** Titles of the documents of an index by key, refreshed. */
export async function titles(core: Core, index: string): Promise<Record<string, string>> {
  await core.client.indices.refresh({ index })
  const found = await core.client.search<{ title: string }>({ index, size: 10_000, sort: '_doc' })
  return Object.fromEntries(found.hits.hits.map((each) => [each._id!, each._source!.title]))
}

/** Titles of the visible rows by key. */
export async function rowTitles(core: Core): Promise<Record<string, string>> {
  const rows = await core.sql<{ key: string; title: string }>(
    'SELECT id::text AS key, title FROM books WHERE NOT hidden',
  )
  return Object.fromEntries(rows.map((each) => [each.key, each.title]))
}

/** Lets claims of a version run out. */
export async function expireClaims(core: Core): Promise<void> {
  await core.sql(`UPDATE elastic_umzug.pending SET due_at = clock_timestamp() WHERE token IS NOT NULL`)
}

/** Makes Elasticsearch forget deletes, as a restart does. */
export async function forgetDeletes(core: Core, index: string): Promise<void> {
  await core.client.indices.flush({ index, force: true })
  await core.client.indices.close({ index })
  await core.client.indices.open({ index })
  await core.client.cluster.health({ index, wait_for_status: 'yellow' })
}

/** A point where work waits until the spec lets it go on. */
export interface Gate {
  /** Resolves when the work has arrived. */
  arrived: Promise<void>
  /** To be awaited by the work. */
  pass(): Promise<void>
  open(): void
}

/** Makes a gate. */
export function createGate(): Gate {
  let arrive = () => {}
  let open = () => {}
  const arrived = new Promise<void>((resolve) => arrive = resolve)
  const opened = new Promise<void>((resolve) => open = resolve)
  return {
    arrived,
    pass: () => (arrive(), opened),
    open,
  }
}

/** The store with a hook around its statements: before and after each one. */
export function watchStore(
  store: Store,
  watch: { before?: (sql: string) => unknown; after?: (sql: string) => unknown },
): Store {
  const query: Db['query'] = async (sql, values) => {
    await watch.before?.(sql)
    const rows = await store.db.query<never>(sql, values)
    await watch.after?.(sql)
    return rows
  }
  return { ...store, db: { ...store.db, query } }
}

/** The source with a hook after its reads. */
export function watchSource(source: Source, afterRead: (what: 'page' | 'byKeys') => unknown): Source {
  return {
    ...source,
    async page(...given) {
      const documents = await source.page(...given)
      await afterRead('page')
      return documents
    },
    async byKeys(...given) {
      const documents = await source.byKeys(...given)
      await afterRead('byKeys')
      return documents
    },
  }
}

/** The client with a hook before each request; it may answer or throw itself. */
export function watchSearch(search: SearchClient, before: (request: SearchRequest) => unknown): SearchClient {
  return {
    label: search.label,
    async request<Body>(request: SearchRequest) {
      const answer = await before(request) as { status: number; body: Body } | undefined
      return answer ?? await search.request<Body>(request)
    },
  }
}

/** A clock that a spec can set forward. */
export function skewedClock(): Clock & { skewMs: number } {
  const clock = { skewMs: 0, now: () => monotonicClock.now() + clock.skewMs, sleep: monotonicClock.sleep }
  return clock
}
