import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { runGroup, serverUser } from './keeper.ts'

/**
 * Gives a path of the folder that the server's user can read: the folder itself, or, when it lies below one that only
 * root can enter (`/root`), hard links to it inside `temporary`.
 */
export async function readable(folder: string, temporary: string): Promise<string> {
  if (serverUser === undefined || await enterable(folder)) return folder
  const target = join(temporary, basename(folder))
  const log = join(temporary, 'log')
  await runGroup({ command: 'cp', args: ['-al', folder, target], log }).catch(async () => {
    await runGroup({ command: 'rm', args: ['-rf', target], log })
    await runGroup({ command: 'cp', args: ['-a', folder, target], log })
  })
  return target
}

async function enterable(folder: string): Promise<boolean> {
  if (((await stat(folder)).mode & 0o005) !== 0o005) return false
  return dirname(folder) === folder || await enterable(dirname(folder))
}
