/**
 * Which tables have triggers: installed before more is recorded by them, removed when nobody relies on them any more.
 * @module
 */
import { assertCapturable } from '../capture/capturable.ts'
import { installTriggers, removeTriggers } from '../capture/install.ts'
import { joinNeeds, registeredNeeds } from '../capture/needs.ts'
import { listTriggers } from '../capture/state.ts'
import type { Dependency, Table } from '../ports.ts'
import { awaitWritersOf } from '../search/writers.ts'
import { isApplied } from '../store/schema.ts'
import type { Base, Run } from './base.ts'

/**
 * Installs triggers where the config wants them, and upgrades them and all others that are installed, to what the registered
 * versions and these dependencies need. It comes before a version that needs more is registered, so that nothing is missed.
 * Throws what makes triggers impossible on a table, and `STOPPED`. A crash leaves each table with its old triggers or its new.
 */
export async function prepareTriggers(base: Base, run: Run, dependencies: readonly Dependency[] = []): Promise<void> {
  const { store, config, definitions } = base
  const modeOf = base.modes(definitions)
  const triggers = await listTriggers(store, store.db)
  const installed = new Set(triggers.filter((each) => each.state === 'installed').map((each) => each.table))
  const registered = await registeredNeeds(store, store.db)
  const needs = joinNeeds([...registered, ...dependencies])
  const wanted = needs.filter(({ table }) => modeOf(table) === 'triggers' || installed.has(table))
  await installTriggers(depsOf(base, run), wanted, { replicated: config.captureReplicated ?? false })
}

/**
 * Removes the triggers of tables that the config has captured by hooks, or that no version reads any more: first they are
 * marked, so that every process records by itself again, then dropped. A crash between leaves both on; the next call goes
 * on. Throws `STOPPED`.
 */
export async function dismissTriggers(base: Base, run: Run): Promise<void> {
  const tables = await dismissed(base)
  if (tables.length === 0) return
  const deps = depsOf(base, run)
  await removeTriggers(deps, tables, () => awaitWritersOf(deps, { tables, name: 'triggers' }))
}

/** Throws `CAPTURE_IMPOSSIBLE` where the config wants triggers on a table, as it is now, that cannot have them. */
export async function assertTriggersPossible({ store, modes, definitions }: Base): Promise<void> {
  const modeOf = modes(definitions)
  const sources = definitions.flatMap(({ source }) => source.parts ?? [source])
  const wanted = sources.flatMap((source) =>
    source.tables.map((each) => ({
      table: idOf(each),
      columns: [],
      capture: [],
      own: idOf(each) === idOf(source.table),
    }))
  ).filter(({ table }) => modeOf(table) === 'triggers')
  await assertCapturable(store, store.db, wanted)
}

/** What `up` would do about triggers, a line each; changes nothing. */
export async function planTriggers(base: Base): Promise<string[]> {
  const { store, definitions } = base
  const modeOf = base.modes(definitions)
  const read = definitions.flatMap(({ source }) => source.tables.map(idOf))
  const wanted = new Set(read.filter((each) => modeOf(each) === 'triggers'))
  if (!await isApplied(store)) return [...wanted].map(installs)
  const found = new Map((await listTriggers(store, store.db)).map((each) => [each.table, each]))
  for (const { table } of await registeredNeeds(store, store.db)) {
    if (modeOf(table) === 'triggers' || found.get(table)?.state === 'installed') wanted.add(table)
  }
  const open = [...wanted].filter((each) => found.get(each)?.state !== 'installed' || found.get(each)!.fault !== null)
  return [...open.sort().map(installs), ...(await dismissed(base)).map((each) => `${each}: triggers would be removed`)]
}

const idOf = ({ schema, name }: Table): string => `${schema}.${name}`

const installs = (table: string): string => `${table}: triggers would be installed`

async function dismissed({ store, modes, definitions }: Base): Promise<string[]> {
  const modeOf = modes(definitions)
  const read = new Set((await registeredNeeds(store, store.db)).map((each) => each.table))
  const all = (await listTriggers(store, store.db)).map((each) => each.table)
  return all.filter((each) => modeOf(each) === 'hooks' || !read.has(each))
}

function depsOf({ store, runtime }: Base, { say, signal }: Run) {
  return { store, clock: runtime.clock, onLine: say, signal }
}
