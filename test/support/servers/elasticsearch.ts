/**
 * Elasticsearch as a process of this machine, from the cached program and a Java 17.
 * @module
 */
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { cachedElasticsearch } from './cache.ts'
import { findJava } from './java.ts'
import { type Group, runGroup, serverUser, startGroup, temporaryFolder, untilUp } from './keeper.ts'
import { freePort } from './ports.ts'
import { readable } from './reach.ts'
import type { Server } from './servers.ts'

/** Starts an Elasticsearch of one's own; the program is downloaded if it is not in the cache. Throws with the log when it does not start. */
export async function startElasticsearch(options: { port?: number; heap?: string } = {}): Promise<Server> {
  const java = await findJava()
  if (java === undefined) throw new Error('Elasticsearch needs Java 17: set JAVA_HOME.')
  const cached = await cachedElasticsearch(java)
  const folder = await temporaryFolder('elasticsearch')
  const home = await readable(cached, folder)
  const port = options.port ?? await freePort()
  await configure(home, folder, port)
  const runtime = await readable(java, folder)
  const launch = () => startNode(home, folder, runtime, port, options.heap ?? '1g')
  let group = await launch()
  return {
    url: `http://127.0.0.1:${port}`,
    kill: () => group.end('SIGKILL'),
    start: async () => {
      group = await launch()
    },
    stop: () => group.end('SIGKILL'),
  }
}

async function configure(home: string, folder: string, port: number): Promise<void> {
  const conf = join(folder, 'config')
  for (const name of ['config/jvm.options.d', 'data', 'logs', 'tmp']) {
    await mkdir(join(folder, name), { recursive: true })
  }
  for (const name of ['jvm.options', 'log4j2.properties']) await cp(join(home, 'config', name), join(conf, name))
  await writeFile(join(conf, 'elasticsearch.yml'), settings(folder, port, await freePort()))
  if (serverUser === undefined) return
  const owned = ['config', 'data', 'logs', 'tmp'].map((name) => join(folder, name))
  await runGroup({ command: 'chown', args: ['-R', `${serverUser}:${serverUser}`, ...owned], log: join(folder, 'log') })
}

function settings(folder: string, port: number, transportPort: number): string {
  return [
    'discovery.type: single-node',
    'network.host: 127.0.0.1',
    `http.port: ${port}`,
    `transport.port: ${transportPort}`,
    `path.data: ${JSON.stringify(join(folder, 'data'))}`,
    `path.logs: ${JSON.stringify(join(folder, 'logs'))}`,
    'xpack.security.enabled: false',
    'cluster.routing.allocation.disk.threshold_enabled: false',
    '',
  ].join('\n')
}

async function startNode(home: string, folder: string, java: string, port: number, heap: string): Promise<Group> {
  const log = join(folder, 'log')
  const group = startGroup({
    command: join(home, 'bin', 'elasticsearch-cli'),
    args: [],
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      CLI_NAME: 'server',
      CLI_LIBS: 'lib/tools/server-cli',
      ES_HOME: home,
      ES_PATH_CONF: join(folder, 'config'),
      ES_TMPDIR: join(folder, 'tmp'),
      ES_JAVA_HOME: java,
      ES_JAVA_OPTS: `-Xms${heap} -Xmx${heap}`,
    },
    log,
    user: serverUser,
  })
  await untilUp('Elasticsearch', group, log, 300_000, () => answers(port))
  return group
}

async function answers(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/_cluster/health?timeout=2s`, {
    signal: AbortSignal.timeout(3_000),
  })
  await answer.body?.cancel()
  return answer.ok
}
