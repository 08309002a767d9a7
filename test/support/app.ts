import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeAtEnd } from './servers/keeper.ts'

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))

/**
 * Makes a temporary application from files (path → text), with the packages of this project in its node_modules.
 * Without a `package.json` among the files it is an ESM one. Removed by `remove`, or when this process ends.
 */
export async function temporaryApp(
  files: Record<string, string>,
): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'elastic-umzug-app-'))
  removeAtEnd(folder)
  await symlink(modules, join(folder, 'node_modules'))
  for (const [name, text] of Object.entries({ 'package.json': '{ "type": "module" }', ...files })) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}
