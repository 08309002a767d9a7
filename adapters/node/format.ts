/**
 * Whether a file is ESM or CommonJS.
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Format } from './compile.ts'

/** The format of a file: by its extension, else by `type` of the nearest package.json. */
export function formatOf(path: string): Format {
  if (/\.m[tj]s$/.test(path)) return 'module'
  if (/\.c[tj]s$/.test(path)) return 'commonjs'
  for (let folder = dirname(path);;) {
    const manifest = join(folder, 'package.json')
    if (existsSync(manifest)) return typeOf(manifest)
    const parent = dirname(folder)
    if (parent === folder) return 'commonjs'
    folder = parent
  }
}

function typeOf(manifest: string): Format {
  const { type } = JSON.parse(readFileSync(manifest, 'utf8')) as { type?: string }
  return type === 'module' ? 'module' : 'commonjs'
}

/** Whether it is TypeScript source. */
export function isTypeScript(path: string): boolean {
  return /\.[cm]?ts$/.test(path) && !path.endsWith('.d.ts')
}
