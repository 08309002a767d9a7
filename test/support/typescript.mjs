/**
 * ts-node as the loader, which keeps what it made of this project's files in node_modules/.cache and is itself loaded
 * only for a file that it has not seen: specs start hundreds of processes.
 * @module
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = new URL('../../', import.meta.url)
const cache = new URL('node_modules/.cache/elastic-umzug/', root)
const { version } = createRequire(import.meta.url)('typescript/package.json')
const settings = await readFile(new URL('tsconfig.json', root), 'utf8')

let loading
const tsNode = () => loading ??= import('ts-node/esm')

/** Files of this project in ESM; fixtures may have a package.json and settings of their own. */
function isOwn(url) {
  return url.startsWith(root.href) &&
    /^(src|adapters|examples|test)\/(?!fixtures\/(?!library\/)).*\.ts$/.test(url.slice(root.href.length))
}

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context)
  } catch {
    // Only ts-node knows that ./x.js may be ./x.ts.
    return await (await tsNode()).resolve(specifier, context, next)
  }
}

export async function load(url, context, next) {
  if (!/\.[cm]?tsx?$/.test(url)) return await next(url, context)
  if (!isOwn(url)) return await (await tsNode()).load(url, context, next)
  const source = await readFile(fileURLToPath(url), 'utf8')
  const name = createHash('sha256').update([version, settings, url, source].join('\0')).digest('hex')
  const kept = await readFile(new URL(name, cache), 'utf8').catch(() => undefined)
  if (kept !== undefined) return { format: 'module', source: kept, shortCircuit: true }
  const made = await (await tsNode()).load(url, context, next)
  await keep(name, made.source)
  return made
}

// Renamed when it is whole: other processes read at the same time.
async function keep(name, source) {
  const part = new URL(`${name}.${process.pid}`, cache)
  await mkdir(cache, { recursive: true })
  await writeFile(part, source)
  await rename(part, new URL(name, cache))
}
