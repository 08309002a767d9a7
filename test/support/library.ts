/**
 * The fixture application `test/fixtures/library` in a world of its own: its commands and processes.
 * @module
 */
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { type Ended, type Running, startCli } from './cli.ts'
import { differences, type Shown } from './checker.ts'
import { createWorld, killTree, waitFor, type World, type WorldServers } from './world.ts'

const folder = fileURLToPath(new URL('../fixtures/library', import.meta.url))

/** Environment of the fixture's processes: see its `umzug.config.ts`, `app.ts` and migrations. */
export type Knobs = Record<string, string | number | undefined>

/** An application process. */
export interface App extends Running {
  /** What it counted so far. */
  report(): Report
}

/** Counters of an application process. */
export interface Report {
  state: 'starting' | 'started' | 'running' | 'quiet' | 'settled'
  writes: number
  failures: number
}

/** The application with a database and a prefix of its own. */
export interface Library extends World {
  /** Runs a command to its end. */
  cli(args: readonly string[], knobs?: Knobs): Promise<Ended>
  /** Runs a command that has to succeed; gives what it printed. */
  done(args: readonly string[], knobs?: Knobs): Promise<string>
  /** Starts a command. */
  start(args: readonly string[], knobs?: Knobs): Running
  /** Starts another program, by its path. */
  run(program: string, knobs?: Knobs): Running
  /** Starts an application process and waits until it works. */
  app(knobs?: Knobs): Promise<App>
  /** Rows of a statement on the database. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>
  /** Takes an advisory lock; gives the function that lets it go. */
  hold(lock: number): Promise<() => Promise<void>>
  /** True while somebody waits for the lock. */
  waits(lock: number): Promise<boolean>
  /** Physical index of a version, by the name of the index. */
  physical(index: string, number: number): string
  /** Waits until no version that is shown has anything unprocessed. */
  drained(timeoutMs?: number): Promise<void>
  /** Lines about documents that are not as their rows; empty when all are. */
  differences(target: string, shown: Shown): Promise<string[]>
}

/** Makes the world of the application; on own servers where they are given. */
export async function createLibrary(servers: WorldServers = {}, fixed: Knobs = {}): Promise<Library> {
  const world = await createWorld(servers)
  const pool = new pg.Pool({ connectionString: world.databaseUrl, max: 4 })
  pool.on('error', () => {})
  const children = new Set<Running>()
  const environment = (knobs: Knobs): Record<string, string | undefined> => ({
    DATABASE_URL: world.databaseUrl,
    ELASTICSEARCH_URL: world.elasticsearchUrl,
    PREFIX: world.prefix,
    ...texts(fixed),
    ...texts(knobs),
  })
  const launch = (args: readonly string[], knobs: Knobs, program?: string) => {
    const child = startCli(args, { cwd: folder, env: environment(knobs), ...(program ? { program } : {}) })
    children.add(child)
    void child.ended.then(() => children.delete(child))
    return child
  }
  const library: Library = {
    ...world,
    cli: (args, knobs = {}) => launch(args, knobs).ended,
    async done(args, knobs = {}) {
      const ended = await library.cli(args, knobs)
      if (ended.code !== 0) throw new Error(`umzug ${args.join(' ')} ended with ${ended.code}:\n${told(ended)}`)
      return ended.stdout
    },
    start: (args, knobs = {}) => launch(args, knobs),
    run: (program, knobs = {}) => launch([], knobs, program),
    app: (knobs = {}) => startApp(launch([], knobs, `${folder}/app.ts`)),
    sql: async <Row>(text: string, values: unknown[] = []) => (await pool.query(text, values)).rows as Row[],
    async hold(lock) {
      const client = new pg.Client({ connectionString: world.databaseUrl })
      client.on('error', () => {})
      await client.connect()
      await client.query('SELECT pg_advisory_lock($1)', [lock])
      return () => client.end()
    },
    async waits(lock) {
      const sql = `SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
        WHERE locktype = 'advisory' AND NOT granted AND objid = $1 AND datname = current_database()`
      return (await library.sql(sql, [lock])).length > 0
    },
    physical: (index, number) => `${world.prefix}${index}-${number}`,
    drained: (timeoutMs = 30_000) => drained(library, timeoutMs),
    differences: (target, shown) => differences(library, `${world.prefix}${target}`, shown),
    async drop() {
      await Promise.all([...children].map(killTree))
      await pool.end()
      await world.drop()
    },
  }
  return library
}

/** What a process wrote, for messages. */
export function told({ stdout, stderr }: Pick<Running, 'stdout' | 'stderr'>): string {
  return `${stdout}${stderr}`.trim()
}

/** Waits until a running process has written something; throws with all it wrote when it ended without. */
export async function written(child: Running, pattern: RegExp, timeoutMs = 30_000): Promise<void> {
  let ended = false
  void child.ended.then(() => ended = true)
  await waitFor(() => pattern.test(told(child)) || ended, { timeoutMs })
  if (!pattern.test(told(child))) throw new Error(`It ended without ${pattern}:\n${told(child)}`)
}

/** Ends the writes of application processes; each goes on as a worker, for what the others wrote. */
export async function quieten(...apps: App[]): Promise<void> {
  for (const app of apps) app.kill('SIGUSR2')
  await waitFor(() => apps.every((app) => app.report().state === 'quiet'))
}

/** Ends an application process in good order: it ends when everything it wrote is searchable. */
export async function settle(app: App): Promise<Report> {
  app.kill('SIGTERM')
  const ended = await app.ended
  if (ended.code !== 0) throw new Error(`The application ended with ${ended.code ?? ended.signal}:\n${told(ended)}`)
  return app.report()
}

async function startApp(child: Running): Promise<App> {
  const app = Object.assign(Object.create(child) as Running, { report: () => reportOf(child.stdout) })
  await written(child, /"started"/)
  return app
}

function reportOf(stdout: string): Report {
  const last = stdout.slice(0, stdout.lastIndexOf('\n')).split('\n').at(-1)
  return { state: 'starting', writes: 0, failures: 0, ...(last ? JSON.parse(last) : {}) } as Report
}

async function drained(library: Library, timeoutMs: number): Promise<void> {
  await waitFor(async () => {
    const [row] = await library.sql<{ left: number }>(
      `SELECT (SELECT count(*) FROM elastic_umzug.changes)::int + (SELECT count(*) FROM elastic_umzug.pending)::int AS left`,
    )
    return row!.left === 0
  }, { timeoutMs })
}

function texts(knobs: Knobs): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(knobs).map(([name, value]) => [name, value?.toString()]))
}
