/**
 * Module hooks for TypeScript: in the thread of the application where Node and Deno have such hooks, else (Node 20) in Node's hook thread.
 * @module
 */
import { readFileSync, statSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { compile, compilerFor } from './compile.ts'
import { formatOf, isTypeScript } from './format.ts'

/** What a resolve hook gives. */
export interface Resolved {
  url: string
  format?: string | null
  shortCircuit?: boolean
}

/** What a load hook gives. */
export interface Loaded {
  format?: string | null
  source?: unknown
  shortCircuit?: boolean
}

/** What hooks are told. */
export interface HookContext {
  parentURL?: string
  format?: string | null
  conditions?: readonly string[]
}

/** Resolves `./x.js`, `./x` and `./x/` to the TypeScript file that is meant, where nothing else is there. */
export async function resolve(
  specifier: string,
  context: HookContext,
  next: (specifier: string, context: HookContext) => Promise<Resolved>,
): Promise<Resolved> {
  try {
    const resolved = await next(specifier, context)
    const found = insteadOf(resolved)
    return found === undefined ? resolved : await next(found, context)
  } catch (error) {
    const found = sourceOf(specifier, context.parentURL)
    if (found === undefined) throw error
    return await next(found, context)
  }
}

/** As `resolve`, for hooks that are called in the thread of the application. */
export function resolveSync(
  specifier: string,
  context: HookContext,
  next: (specifier: string, context: HookContext) => Resolved,
): Resolved {
  // What is required is resolved and compiled by the CommonJS loader.
  if (context.conditions?.includes('require')) return next(specifier, context)
  try {
    const resolved = next(specifier, context)
    const found = insteadOf(resolved)
    return found === undefined ? resolved : next(found, context)
  } catch (error) {
    const found = sourceOf(specifier, context.parentURL)
    if (found === undefined) throw error
    return next(found, context)
  }
}

/** Compiles TypeScript that no other loader compiled. */
export async function load(
  url: string,
  context: HookContext,
  next: (url: string, context: HookContext) => Promise<Loaded>,
): Promise<Loaded> {
  if (!isSource(url)) return await next(url, context)
  try {
    const loaded = await next(url, context)
    return isCompiled(loaded) ? loaded : compiled(url, context) ?? loaded
  } catch (error) {
    return compiledAfter(url, context, error)
  }
}

/** As `load`, for hooks that are called in the thread of the application. */
export function loadSync(
  url: string,
  context: HookContext,
  next: (url: string, context: HookContext) => Loaded,
): Loaded {
  if (isDeno && url.endsWith('.json')) return jsonOf(url)
  if (!isSource(url)) return next(url, context)
  try {
    const loaded = next(url, context)
    return isCompiled(loaded) ? loaded : compiled(url, context) ?? loaded
  } catch (error) {
    return compiledAfter(url, context, error)
  }
}

function isSource(url: string): boolean {
  return url.startsWith('file:') && isTypeScript(url) && !url.includes('/node_modules/')
}

// Formats that end so are Node's own: it only strips types.
function isCompiled({ format }: Loaded): boolean {
  return typeof format === 'string' && !format.endsWith('-typescript')
}

function compiled(url: string, { conditions }: HookContext): Loaded | undefined {
  const path = fileURLToPath(url)
  const typescript = isFile(path) ? compilerFor(path) : undefined
  if (!typescript) return undefined
  const format = isDeno && conditions?.includes('import') && !path.endsWith('.cts') ? 'module' : formatOf(path)
  return { format, source: compile(typescript, path, format), shortCircuit: true }
}

// Once there is a hook, Deno takes required JSON for JavaScript unless it is told.
function jsonOf(url: string): Loaded {
  return { format: 'json', source: readFileSync(fileURLToPath(url), 'utf8'), shortCircuit: true }
}

// Deno takes `.ts` for ESM wherever it is imported, and finds no names in CommonJS that a hook gives.
const isDeno = 'Deno' in globalThis

function compiledAfter(url: string, context: HookContext, error: unknown): Loaded {
  const loaded = compiled(url, context)
  if (loaded) return loaded
  if ((error as { code?: string }).code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw error
  throw new Error(`${fileURLToPath(url)} is TypeScript: npm install --save-dev typescript@5`, { cause: error })
}

// Deno resolves to what does not exist, and to folders.
function insteadOf({ url }: Resolved): string | undefined {
  return url.startsWith('file:') && !isFile(fileURLToPath(url)) ? sourceOf(url, undefined) : undefined
}

// URL of the TypeScript file that a relative specifier means, if there is one.
function sourceOf(specifier: string, parent: string | undefined): string | undefined {
  if (!/^(\.{1,2}\/|file:)/.test(specifier) || !URL.canParse(specifier, parent)) return undefined
  const { href } = new URL(specifier, parent)
  const candidates = [href.replace(/\.([cm]?)js$/, '.$1ts'), `${href}.ts`, `${href.replace(/\/$/, '')}/index.ts`]
  return candidates.find((each) => each !== href && isSource(each) && isFile(fileURLToPath(each)))
}

/** Path of the TypeScript file that a path means, if there is one. */
export function sourcePathOf(path: string): string | undefined {
  const found = sourceOf(pathToFileURL(path).href, undefined)
  return found === undefined ? undefined : fileURLToPath(found)
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}
