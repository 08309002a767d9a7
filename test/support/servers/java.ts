import { execFile } from 'node:child_process'
import { readdir, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Home of a Java 17 or newer, or undefined: `JAVA_HOME`, `java` on the path, then what the system keeps in its usual folder. */
export async function findJava(): Promise<string | undefined> {
  const homes = [process.env.JAVA_HOME, await onPath('java').then(homeOf), await macHome(), ...await installed()]
  for (const home of homes) {
    if (home !== undefined && isUsable(await versionOf(home))) return home
  }
  return undefined
}

/** Path of a program, or undefined. */
export async function onPath(name: string): Promise<string | undefined> {
  const found = await run('sh', ['-c', `command -v ${name}`]).catch(() => ({ stdout: '' }))
  return found.stdout.trim() || undefined
}

async function homeOf(java: string | undefined): Promise<string | undefined> {
  return java === undefined ? undefined : dirname(dirname(await realpath(java)))
}

async function macHome(): Promise<string | undefined> {
  const found = await run('/usr/libexec/java_home', ['-v', '17+']).catch(() => ({ stdout: '' }))
  return found.stdout.trim() || undefined
}

async function installed(): Promise<string[]> {
  const folder = '/usr/lib/jvm'
  return (await readdir(folder).catch(() => [])).sort().map((name) => join(folder, name))
}

async function versionOf(home: string): Promise<number | undefined> {
  try {
    // A home that is a file makes it throw instead of reject.
    const { stderr } = await run(join(home, 'bin', 'java'), ['-version'])
    return Number(/version "(\d+)/.exec(stderr)?.[1])
  } catch {
    return undefined
  }
}

// Elasticsearch 8.19 needs Java 17.
function isUsable(version: number | undefined): boolean {
  return version !== undefined && version >= 17
}
