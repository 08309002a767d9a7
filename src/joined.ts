/**
 * The plugins of several databases as one.
 * @module
 */
import { ElasticUmzugError } from './errors.ts'
import { eachOf } from './commands/change.ts'
import type { CommandOptions } from './commands/base.ts'
import type { Status, StatusOptions } from './commands/status.ts'
import type { UpOptions } from './commands/up.ts'
import type { JoinedPart } from './joined/owners.ts'
import { joinQueues } from './joined/queue.ts'
import { joinVersions } from './joined/versions.ts'
import type { ElasticUmzug } from './plugin.ts'
import type { ActionRow, LogFilter } from './store/action-log.ts'

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
    queue: joinQueues(parts),
    alias: (name) => owning(name).alias(name),
    definitionAlias: (name) => owning(name).definitionAlias(name),
    on(name, listener) {
      const offs = plugins.map((each) => each.on(name, listener))
      return () => offs.forEach((off) => off())
    },
    start: async () => void await eachOf(plugins, (each) => each.start()),
    stop: async () => void await Promise.all(plugins.map((each) => each.stop())),
    settled: async (options) => void await Promise.all(plugins.map((each) => each.settled(options))),
    async up(options = {}) {
      assertUnnamed(parts, options)
      const results = await eachOf(parts, ({ name, plugin }) => plugin.up(told(name, options)))
      return {
        migrations: results.flatMap((each) => each.migrations),
        indexes: results.flatMap((each) => each.indexes),
      }
    },
    async planUp(options = {}) {
      assertUnnamed(parts, options)
      return (await eachOf(parts, async ({ name, plugin }) => named(name, await plugin.planUp(options)))).flat()
    },
    async plan() {
      const plans = await eachOf(parts, async ({ name, plugin }) => ({ name, plan: await plugin.plan() }))
      return {
        todo: plans.some((each) => each.plan.todo),
        sections: plans.flatMap(({ name, plan }) =>
          plan.sections.map((section) => ({ ...section, name: `${name}: ${section.name}` }))
        ),
      }
    },
    down: () => Promise.reject(ambiguous(parts, 'Which database is reverted is not said.')),
    planDown: () => Promise.reject(ambiguous(parts, 'Which database is reverted is not said.')),
    status: async (options?: StatusOptions) =>
      joinStatus(await eachOf(parts, async ({ name, plugin }) => ({ name, status: await plugin.status(options) }))),
    log: (options) => joinLog(parts, options),
    async logOf(id) {
      const [name, number] = id.includes('/') ? id.split('/') : [parts[0]!.name, id]
      const { plugin } = parts.find((each) => each.name === name) ?? parts[0]!
      return withDatabase(name!, await plugin.logOf(number!))
    },
  }
}

const named = (database: string, lines: readonly string[]) => lines.map((each) => `${database}: ${each}`)

function told<Options extends CommandOptions>(database: string, options: Options): Options {
  const { onLine } = options
  return onLine ? { ...options, onLine: (line: string) => onLine(`${database}: ${line}`) } : options
}

// A migration is one of one database, and the next database would refuse its name after the first one is done.
function assertUnnamed(parts: readonly JoinedPart[], { migrate = {} }: UpOptions): void {
  const { to, migrations } = migrate as { to?: unknown; migrations?: unknown }
  if (to !== undefined || migrations !== undefined) {
    throw ambiguous(parts, 'Migrations are named, and not the database that they are of.')
  }
}

function ambiguous(parts: readonly JoinedPart[], what: string): ElasticUmzugError {
  return new ElasticUmzugError('COMMAND_INVALID', what, {
    next: `name it: ${parts.map(({ name }) => `--database ${name}`).join(' or ')}`,
  })
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
  const all = await eachOf(
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
