import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { serverUser } from './keeper.ts'

const run = promisify(execFile)

/**
 * Gives a path of the folder that the server's user can read: the folder itself, or, when it lies below one that only
 * root can enter (`/root`), hard links to it inside `temporary`.
 */
export async function readable(folder: string, temporary: string): Promise<string> {
  if (serverUser === undefined || await enterable(folder)) return folder
  const target = join(temporary, 'program')
  await run('cp', ['-al', folder, target]).catch(async () => {
    await run('rm', ['-rf', target])
    await run('cp', ['-a', folder, target])
  })
  return target
}

async function enterable(folder: string): Promise<boolean> {
  if (((await stat(folder)).mode & 0o005) !== 0o005) return false
  return dirname(folder) === folder || await enterable(dirname(folder))
}
