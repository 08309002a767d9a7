/**
 * Loads modules of an application on Node and Deno: TypeScript or not, ESM or CommonJS.
 * @module
 */
import Module, { createRequire } from 'node:module'
import process from 'node:process'
import { dirname, resolve as resolvePath } from 'node:path'
import { pathToFileURL } from 'node:url'
import { compile, compilerFor, type Format } from './compile.ts'
import { formatOf, isTypeScript } from './format.ts'
import { loadSync, resolveSync, sourcePathOf } from './hooks.ts'

type Exports = Record<string, unknown>

/** Node's module loader: the members that its types lack. */
interface ModuleLoader {
  registerHooks?(hooks: object): void
  register(specifier: string | URL): void
  _extensions: Record<string, Handler>
  _resolveFilename(request: string, parent: { filename?: string } | undefined, ...rest: unknown[]): string
}

type Handler = (module: { _compile(code: string, path: string): void }, path: string) => void

const loader = Module as unknown as ModuleLoader

/**
 * Loads a module in the format of its package. TypeScript is compiled with the application's own compiler; where the application brought
 * a loader of its own (`NODE_OPTIONS`, `require` of the config), that one does it.
 */
export async function loadModule(path: string): Promise<Exports> {
  // JavaScript may import TypeScript.
  if (!isDeno) registerTypeScript()
  else if (!isTypeScript(path)) return await loadAs(formatOf(path), path)
  // Deno is left to itself as long as it can: most of what it cannot, it refuses before anything of the file runs.
  try {
    return await loadAs(formatOf(path), path)
  } catch (error) {
    if (registered || !isRefusal(error)) throw error
    registerTypeScript()
    return await loadAs(formatOf(path), path)
  }
}

const isDeno = 'Deno' in globalThis

function isRefusal(error: unknown): boolean {
  return error instanceof SyntaxError || /module|import|require/i.test(String((error as Error | undefined)?.message))
}

async function loadAs(format: Format, path: string): Promise<Exports> {
  if (format === 'module') return await importModule(path)
  try {
    return requireModule(path)
  } catch (error) {
    // ESM syntax in a package without `type`, with top-level await or on a Node that cannot require it.
    if (!isModuleOnly(error)) throw error
    return await importModule(path)
  }
}

function isModuleOnly(error: unknown): boolean {
  return ['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE'].includes((error as { code?: string } | undefined)?.code ?? '')
}

async function importModule(path: string): Promise<Exports> {
  return await import(pathToFileURL(path).href) as Exports
}

function requireModule(path: string): Exports {
  const loaded = createRequire(path)(path) as Exports
  return isNamespace(loaded) ? loaded : { ...(isObject(loaded) ? loaded : {}), default: loaded }
}

// ESM that was required.
function isNamespace(value: unknown): boolean {
  return isObject(value) && (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === 'Module'
}

function isObject(value: unknown): value is Exports {
  return typeof value === 'object' && value !== null
}

let registered = false

function registerTypeScript(): void {
  if (registered) return
  registered = true
  if (loader.registerHooks) loader.registerHooks({ resolve: resolveSync, load: loadSync })
  else loader.register(new URL(import.meta.url.endsWith('.ts') ? './hooks.ts' : './hooks.js', import.meta.url))
  registerRequire()
  // Stack traces of migrations show their own lines.
  process.setSourceMapsEnabled?.(true)
}

// Node 20 has no hooks for what is required, later ones compile no `import` in it.
function registerRequire(): void {
  for (const extension of ['.ts', '.cts']) loader._extensions[extension] ??= requireTypeScript
  const resolve = loader._resolveFilename
  loader._resolveFilename = function (request, parent, ...rest) {
    try {
      return resolve.call(this, request, parent, ...rest)
    } catch (error) {
      const path = parent?.filename && /^\.{1,2}\//.test(request) && resolvePath(dirname(parent.filename), request)
      const found = path ? sourcePathOf(path) : undefined
      if (found === undefined) throw error
      return resolve.call(this, found, parent, ...rest)
    }
  }
}

const requireTypeScript: Handler = (module, path) => {
  const typescript = compilerFor(path)
  if (typescript) return module._compile(compile(typescript, path, 'commonjs'), path)
  // Later Nodes strip types themselves.
  if ((process.features as { typescript?: unknown }).typescript) return loader._extensions['.js']!(module, path)
  throw new Error(`${path} is TypeScript: npm install --save-dev typescript@5`)
}
