/**
 * Both servers in containers, by the project's docker-compose.yml, under a project name of this process.
 * @module
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { keepProject } from './keeper.ts'
import { freePort } from './ports.ts'
import type { Kind, Server } from './servers.ts'

const run = promisify(execFile)
const file = fileURLToPath(new URL('../../../docker-compose.yml', import.meta.url))

/** True when a Docker engine answers and has `docker compose`. */
export async function dockerRuns(): Promise<boolean> {
  const quick = { timeout: 10_000 }
  return await run('docker', ['info'], quick).then(() => run('docker', ['compose', 'version'], quick)).then(
    () => true,
    () => false,
  )
}

/** Starts the service of this kind and waits until it is healthy. */
export async function startContainer(kind: Kind): Promise<Server> {
  const port = await freePort()
  const password = randomBytes(8).toString('hex')
  const variables = kind === 'postgres'
    ? { POSTGRES_PORT: String(port), POSTGRES_PASSWORD: password }
    : { ELASTICSEARCH_PORT: String(port) }
  const project = `elastic-umzug-${kind}-${process.pid}-${port}`
  const compose = (...args: string[]) =>
    run('docker', ['compose', '--file', file, '--project-name', project, ...args], {
      env: { ...process.env, ...variables },
    })
  const down = async () => void await compose('down', '--volumes', '--timeout', '2')
  keepProject(project)
  await compose('up', '--wait', kind).catch(async (error) => {
    await down().catch(() => undefined)
    throw error
  })
  return {
    url: kind === 'postgres'
      ? `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
      : `http://127.0.0.1:${port}`,
    kill: async () => void await compose('kill', kind),
    start: async () => void await compose('up', '--wait', kind),
    stop: down,
  }
}
