/**
 * Finds migration files.
 * @module
 */
import glob from 'fast-glob'
import { ElasticUmzugError } from '../errors.ts'
import type { Runtime } from '../ports.ts'
import { baseName, stemOf } from './names.ts'

/** A glob, or a glob with Umzug's options. */
export interface GlobOptions {
  /** Folder that relative patterns start from. */
  cwd: string
  ignore?: string[]
}

/** Absolute paths of everything the patterns match, in the order in which migrations run. */
export async function matchFiles(
  runtime: Runtime,
  patterns: readonly string[],
  options: GlobOptions,
): Promise<string[]> {
  const found = await glob([...patterns], { ...options, absolute: true })
  return found.map((each) => runtime.resolve(each)).sort(byCodeUnits)
}

// As Umzug sorts: the same on every machine, whatever its language.
function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Those paths that are migrations: no declarations, source maps, down files or others that cannot be run. */
export function onlyMigrations(paths: readonly string[]): string[] {
  const known = new Set(paths)
  // `migrations/down/0001.sql` is the down file of `migrations/0001.sql`.
  const isDownFile = (path: string) => downFolder.test(path) && known.has(path.replace(downFolder, '$1$2'))
  return paths.filter((path) => runnable.test(path) && !/\.d\.[cm]?ts$|\.down\.sql$/.test(path) && !isDownFile(path))
}

const runnable = /\.(?:[cm]?[jt]s|sql)$/
const downFolder = /([\\/])down[\\/]([^\\/]+\.sql)$/

/** Throws `MIGRATION_INVALID` when one migration is there twice, say as `.ts` and as the `.js` compiled from it. */
export function assertDistinct(migrations: readonly { name: string; path?: string | undefined }[]): void {
  const seen = new Map<string, string>()
  for (const { name, path = name } of migrations) {
    const other = seen.get(stemOf(name))
    if (other !== undefined) {
      throw new ElasticUmzugError(
        'MIGRATION_INVALID',
        `The migration ${stemOf(name)} is there twice: ${other} and ${path}.`,
        {
          next: 'narrow `migrations` in the config file to one of them, or remove one',
        },
      )
    }
    seen.set(stemOf(name), path)
  }
}

/** The folder that a pattern starts in: where the first migration goes. */
export function folderOf(runtime: Runtime, folder: string, pattern: string): string {
  const parts = pattern.split('/')
  const dynamic = parts.findIndex((each) => each !== '' && glob.isDynamicPattern(each))
  const fixed = parts.slice(0, dynamic === -1 ? -1 : dynamic)
  return runtime.resolve(folder, fixed.join('/') || (pattern.startsWith('/') ? '/' : '.'))
}

/** The down file of a `.sql` migration, `NAME.down.sql` beside it or `down/NAME.sql` below; undefined when there is none. */
export async function downFileOf(runtime: Runtime, path: string): Promise<string | undefined> {
  const beside = path.replace(/\.sql$/, '.down.sql')
  const below = runtime.resolve(runtime.dirname(path), 'down', baseName(path))
  for (const each of [beside, below]) if (await runtime.exists(each)) return each
}
