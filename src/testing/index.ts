/**
 * Search in tests: each suite has indexes of its own, quickly made, and gone when it ends.
 *
 * ```ts
 * import config from '../umzug.config.ts'
 * let kit: TestKit
 * before(async () => kit = await testSearch(config, { indexes: ['books'] }))
 * afterEach(() => kit.clear())
 * after(() => kit.stop())
 * it('finds a book', async () => {
 *   await Book.create({ title: 'Emma' })
 *   await kit.settled()
 *   const found = await client.search({ index: kit.alias('books'), q: 'emma' })
 * })
 * ```
 * @module
 */
import { type Base, createBase, type PluginParts } from '../commands/base.ts'
import { isOff } from '../commands/off.ts'
import { type ComposedPart, composeParts, pluginOf } from '../compose.ts'
import type { Config } from '../config.ts'
import { ElasticUmzugError } from '../errors.ts'
import type { ElasticUmzug } from '../plugin.ts'
import { isRedirected, redirect } from '../redirect.ts'
import { abortedKeys, listVersions } from '../search/versions.ts'
import type { Session } from '../store/lock.ts'
import { build } from './build.ts'
import { clearSuite } from './clear.ts'
import { testConfig } from './config.ts'
import { lockSuite, removeLeftovers } from './leftovers.ts'
import { newSuite, type SuiteNames } from './names.ts'
import { inCluster, removeFromCluster, removeSchema } from './remove.ts'

export type { Config, ElasticUmzug }

/** Options of `testSearch`. */
export interface TestSearchOptions {
  /** Names of the indexes that are made. Default: all of the config; `[]` none. Tables that only others read are not captured. */
  indexes?: readonly string[]
  /** True: models save without search. Nothing is recorded, and neither server is asked. Default: as `ELASTIC_UMZUG` says. */
  off?: boolean
  /** After how many milliseconds `settled` and `clear` give up. Default 10,000. */
  timeoutMs?: number
}

/** Search of one suite. */
export interface TestKit {
  /** The plugin over the suite's own indexes. While the kit runs, every plugin that the application made of the same config object is this one. */
  readonly search: ElasticUmzug
  /** Before each name of the suite in the cluster; for processes that a test starts. */
  readonly prefix: string
  /** Schema of the own tables; for processes that a test starts. */
  readonly schema: string
  /** The name to search in. Throws `DEFINITION_UNKNOWN`. */
  alias(name: string): string
  /**
   * Waits until everything committed before the call is searchable. Throws `DOCUMENT_REFUSED` where Elasticsearch refused a
   * document, with its reason, and `VERSION_BEHIND` after `timeoutMs`.
   */
  settled(): Promise<void>
  /** Deletes all documents, and forgets every change that was captured until now; rows are left alone. Throws `VERSION_BEHIND`. */
  clear(): Promise<void>
  /** Ends capture and worker, and removes all that the suite made in the cluster and in the database. The second call does nothing. */
  stop(): Promise<void>
}

/**
 * Makes indexes of its own for a suite, fills them from the rows there are, and starts capture and worker. The application's
 * tables must be there; `npx umzug up` is not needed. What suites have left whose process was killed is removed before. Any
 * number of suites may share a database and a cluster, in one process one at a time of a config. Throws what building an
 * index does, and `CONFIG_INVALID` where another one runs; then nothing is left behind.
 */
export async function testSearch(config: Config, options: TestSearchOptions = {}): Promise<TestKit> {
  if (isRedirected(config)) throw stillRunning()
  const suite = newSuite()
  const own = testConfig(config, suite, options.indexes)
  const composed = composeParts(own, options.off === undefined ? {} : { off: options.off })
  if (options.off ?? isOff(composed[0]!.parts.runtime)) return offKit(config, suite, pluginOf(composed))
  return await startKit(config, suite, composed, options.timeoutMs ?? 10_000)
}

function stillRunning(): ElasticUmzugError {
  return new ElasticUmzugError('CONFIG_INVALID', 'Another test kit of this config runs in this process.', {
    next: 'await kit.stop() where the suite before ends',
  })
}

function offKit(config: Config, { prefix, schema }: SuiteNames, search: ElasticUmzug): TestKit {
  const back = redirect(config, search)
  const nothing = () => Promise.resolve()
  const stop = () => Promise.resolve(back())
  return { search, prefix, schema, alias: search.alias, settled: nothing, clear: nothing, stop }
}

async function startKit(
  config: Config,
  suite: SuiteNames,
  composed: readonly ComposedPart[],
  timeoutMs: number,
): Promise<TestKit> {
  const { parts, endCapture } = endable(composed)
  const search = pluginOf(parts)
  const bases = parts.map((each) => createBase(each.parts))
  const sessions: Session[] = []
  const back = redirect(config, search)
  const stop = once(async () => {
    back()
    await search.stop()
    endCapture()
    await remove(suite, bases)
    await Promise.all(sessions.map((each) => each.close()))
  })
  try {
    for (const { parts: each } of parts) {
      sessions.push(await lockSuite(each.db, suite))
      await removeLeftovers(each)
      await build(createBase({ ...each, alone: true, capture: () => () => {} }))
    }
    await search.start()
  } catch (error) {
    // What made it fail may keep this from being done: then the next suite does it.
    await stop().catch(() => {})
    throw error
  }
  return {
    search,
    prefix: suite.prefix,
    schema: suite.schema,
    alias: search.alias,
    async settled() {
      await search.settled({ timeoutMs })
      for (const each of bases) await assertNoneRefused(each)
    },
    clear: async () =>
      void await Promise.all(bases.map((each) => clearSuite(each, () => search.settled({ timeoutMs })))),
    stop,
  }
}

// An application records for as long as it lives; a suite must not, for its tables go with it.
function endable(composed: readonly ComposedPart[]): { parts: ComposedPart[]; endCapture(): void } {
  const ends: (() => void)[] = []
  const keeping = ({ capture }: PluginParts): PluginParts['capture'] => (...args) => {
    const end = capture(...args)
    ends.push(end)
    return end
  }
  const parts = composed.map(({ name, parts: each }) => ({ name, parts: { ...each, capture: keeping(each) } }))
  return { parts, endCapture: () => ends.forEach((each) => each()) }
}

// The schemas come last: while they are there, what is left in the cluster is found by them.
async function remove(suite: SuiteNames, bases: readonly Base[]): Promise<void> {
  const search = bases[0]?.search
  if (search) await removeFromCluster(search, await inCluster(search, suite.prefix))
  for (const { db, runtime } of bases) await removeSchema(db, runtime.clock, suite)
}

async function assertNoneRefused({ store, prefix }: Base): Promise<void> {
  for (const { id, physical } of await listVersions(store, prefix)) {
    const [first] = await abortedKeys(store, id)
    if (!first) continue
    throw new ElasticUmzugError(
      'DOCUMENT_REFUSED',
      `Elasticsearch refused document ${first.key} of ${physical}: ${first.reason}`,
      { next: 'correct the mappings, the source or the row' },
    )
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => done ??= work()
}
