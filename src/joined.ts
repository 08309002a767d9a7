/**
 * The plugins of several databases as one.
 * @module
 */
import { ElasticUmzugError } from './errors.ts'
import type { IndexCommands } from './commands/indexes.ts'
import type { CommandOptions } from './commands/base.ts'
import type { Status, StatusOptions } from './commands/status.ts'
import type { UpOptions } from './commands/up.ts'
import type { ElasticUmzug } from './plugin.ts'
import type { ActionRow, LogFilter } from './store/action-log.ts'

/** The plugin of one database, with the names of the indexes that are defined over it. */
export interface JoinedPart {
  name: string
  plugin: ElasticUmzug
  indexes: readonly string[]
}

/**
 * Joins them: what is not about one index is done for each database, in the order of the config; an index is looked for
 * where it is defined, then where it has versions.
 */
export function joinPlugins(parts: readonly JoinedPart[]): ElasticUmzug {
  const plugins = parts.map((each) => each.plugin)
  const first = plugins[0]!
  const owning = (name: string) => parts.find((each) => each.indexes.includes(name))?.plugin ?? first
  return {
    databases: Object.fromEntries(parts.map(({ name, plugin }) => [name, plugin])),
    get umzug() {
      return first.umzug
    },
    versions: joinVersions(parts),
    queue: {
      status: async (options) => (await inTurn(plugins, (each) => each.queue.status(options))).flat(),
      async work(signal, onStart) {
        let started = 0
        const begun = () => {
          if (++started === plugins.length) onStart?.()
        }
        await Promise.all(plugins.map((each) => each.queue.work(signal, begun)))
      },
      retry: async (options) => (await inTurn(plugins, (each) => each.queue.retry(options))).flat(),
      clear: async (options) => (await inTurn(plugins, (each) => each.queue.clear(options))).flat(),
    },
    alias: (name) => owning(name).alias(name),
    definitionAlias: (name) => owning(name).definitionAlias(name),
    on(name, listener) {
      const offs = plugins.map((each) => each.on(name, listener))
      return () => offs.forEach((off) => off())
    },
    start: async () => void await inTurn(plugins, (each) => each.start()),
    stop: async () => void await Promise.all(plugins.map((each) => each.stop())),
    settled: async (options) => void await Promise.all(plugins.map((each) => each.settled(options))),
    async up(options = {}) {
      const results = await inTurn(parts, ({ name, plugin }) => plugin.up(told(name, options)))
      return {
        migrations: results.flatMap((each) => each.migrations),
        indexes: results.flatMap((each) => each.indexes),
      }
    },
    planUp: async (options?: UpOptions) =>
      (await inTurn(parts, async ({ name, plugin }) => named(name, await plugin.planUp(options)))).flat(),
    async plan() {
      const plans = await inTurn(parts, async ({ name, plugin }) => ({ name, plan: await plugin.plan() }))
      return {
        todo: plans.some((each) => each.plan.todo),
        sections: plans.flatMap(({ name, plan }) =>
          plan.sections.map((section) => ({ ...section, name: `${name}: ${section.name}` }))
        ),
      }
    },
    down: () => Promise.reject(ambiguous(parts)),
    planDown: () => Promise.reject(ambiguous(parts)),
    status: async (options?: StatusOptions) =>
      joinStatus(await inTurn(parts, async ({ name, plugin }) => ({ name, status: await plugin.status(options) }))),
    log: (options) => joinLog(parts, options),
    async logOf(id) {
      const [name, number] = id.includes('/') ? id.split('/') : [parts[0]!.name, id]
      const { plugin } = parts.find((each) => each.name === name) ?? parts[0]!
      return withDatabase(name!, await plugin.logOf(number!))
    },
  }
}

// One after another: what the first one refuses is not begun in the next.
async function inTurn<In, Out>(all: readonly In[], work: (each: In) => Promise<Out>): Promise<Out[]> {
  const results: Out[] = []
  for (const each of all) results.push(await work(each))
  return results
}

const named = (database: string, lines: readonly string[]) => lines.map((each) => `${database}: ${each}`)

function told<Options extends CommandOptions>(database: string, options: Options): Options {
  const { onLine } = options
  return onLine ? { ...options, onLine: (line: string) => onLine(`${database}: ${line}`) } : options
}

/** A command that would not say what it reverts where. */
function ambiguous(parts: readonly JoinedPart[]): ElasticUmzugError {
  return new ElasticUmzugError('COMMAND_INVALID', 'Which database is reverted is not said.', {
    next: `name it: ${parts.map(({ name }) => `--database ${name}`).join(' or ')}`,
  })
}

type Command = (names?: readonly string[], options?: CommandOptions) => Promise<unknown[]>

function joinVersions(parts: readonly JoinedPart[]): IndexCommands {
  const commands = Object.keys(parts[0]!.plugin.versions) as (keyof IndexCommands)[]
  const joined = commands.map((command): [string, Command] => [
    command,
    async (names = [], options) => {
      const chosen = names.length > 0 ? await byOwner(parts, names) : everyOne(parts, command)
      const done = await inTurn(
        chosen,
        ({ part, names }) => (part.plugin.versions[command] as Command)(names, options),
      )
      return done.flat()
    },
  ])
  const all = Object.fromEntries(joined) as unknown as IndexCommands
  return {
    ...all,
    // Its names are those of one comparison.
    async diff(names = []) {
      const [first] = names.filter((each) => each !== 'code' && each !== 'live')
      return first === undefined ? await all.diff([]) : await (await ownerOf(parts, first)).plugin.versions.diff(names)
    },
  }
}

interface Chosen {
  part: JoinedPart
  names: readonly string[]
}

// A database without indexes has none to speak of, unless none has any.
function everyOne(parts: readonly JoinedPart[], command: keyof IndexCommands): Chosen[] {
  const defining = parts.filter((each) => each.indexes.length > 0)
  const chosen = command === 'list' || defining.length === 0 ? parts : defining
  return chosen.map((part) => ({ part, names: [] }))
}

async function byOwner(parts: readonly JoinedPart[], names: readonly string[]): Promise<Chosen[]> {
  const owned = await inTurn(names, async (name) => ({ name, part: await ownerOf(parts, name) }))
  return parts.map((part) => ({ part, names: owned.filter((each) => each.part === part).map((each) => each.name) }))
    .filter((each) => each.names.length > 0)
}

async function ownerOf(parts: readonly JoinedPart[], target: string): Promise<JoinedPart> {
  const [index] = target.split('@')
  const defining = parts.find((each) => each.indexes.includes(index!))
  if (defining) return defining
  for (const part of parts) {
    const versions = await part.plugin.versions.list()
    if (versions.some((each) => each.index === index || each.physical === target)) return part
  }
  // It throws that there is none.
  return parts[0]!
}

function joinStatus(all: readonly { name: string; status: Status }[]): Status {
  const statuses = all.map((each) => each.status)
  const [first] = statuses as [Status]
  const problems = all.flatMap(({ name, status }) =>
    status.problems.map((each) => ({ ...each, what: `${name}: ${each.what}` }))
  )
  return {
    ...first,
    problems,
    tables: statuses.find((each) => each.tables.state !== 'current')?.tables ?? first.tables,
    cluster: statuses.find((each) => each.cluster)?.cluster ?? null,
    runs: statuses.flatMap((each) => each.runs),
    pendingMigrations: all.flatMap(({ name, status }) => named(name, status.pendingMigrations)),
    unbuilt: statuses.flatMap((each) => each.unbuilt),
    versions: statuses.flatMap((each) => each.versions),
    aliases: statuses.flatMap((each) => each.aliases),
    changes: {
      changes: statuses.reduce((sum, each) => sum + each.changes.changes, 0),
      oldestMs: Math.max(...statuses.map((each) => each.changes.oldestMs)),
    },
    capture: {
      ...first.capture,
      tables: all.flatMap(({ name, status }) =>
        status.capture.tables.map((each) => ({ ...each, table: `${name}: ${each.table}` }))
      ),
    },
    unserved: statuses.flatMap((each) => each.unserved),
    suspicions: statuses.flatMap((each) => each.suspicions),
  }
}

async function joinLog(parts: readonly JoinedPart[], options?: number | LogFilter): Promise<ActionRow[]> {
  const limit = (typeof options === 'number' ? options : options?.limit) ?? 50
  const all = await inTurn(
    parts,
    async ({ name, plugin }) => (await plugin.log(options)).map((each) => withDatabase(name, each)),
  )
  const begun = (each: ActionRow) => each.startedAt ?? ''
  return all.flat().sort((a, b) => (begun(a) < begun(b) ? 1 : begun(a) > begun(b) ? -1 : 0)).slice(0, limit)
}

// Numbers of actions are those of one database.
function withDatabase<Row extends { id: string; parentId: string | null }>(database: string, row: Row): Row {
  return { ...row, id: `${database}/${row.id}`, parentId: row.parentId && `${database}/${row.parentId}` }
}
