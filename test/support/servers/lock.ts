import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'

// A holder touches its file every second; its number may belong to somebody else after a restart of the machine.
const staleMs = 15_000

/** Runs the work while a file says that this process does it; waits for a living other one, takes over from a dead one. */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  for (let told = false; !await take(path); told = true) {
    if (!told) process.stderr.write('Waiting for another run that downloads Elasticsearch.\n')
    await sleep(500)
  }
  const beat = setInterval(() => utimes(path, new Date(), new Date()).catch(() => undefined), 1_000)
  try {
    return await work()
  } finally {
    clearInterval(beat)
    await rm(path, { force: true })
  }
}

async function take(path: string): Promise<boolean> {
  const own = `${path}.${process.pid}`
  await writeFile(own, String(process.pid))
  try {
    // Unlike a file made and then written, a link appears together with its content.
    await link(own, path)
    return true
  } catch {
    if (await isStale(path)) await rename(path, own).catch(() => undefined)
    return false
  } finally {
    await rm(own, { force: true })
  }
}

async function isStale(path: string): Promise<boolean> {
  const touched = await stat(path).then((it) => it.mtimeMs, () => Date.now())
  if (Date.now() - touched > staleMs) return true
  const holder = Number(await readFile(path, 'utf8').catch(() => process.pid))
  return !isAlive(holder)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM'
  }
}
