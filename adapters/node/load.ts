/**
 * Loads modules of an application on Node: TypeScript or not, ESM or CommonJS.
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire, register } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

type Exports = Record<string, unknown>

let hooks = false

/**
 * Loads a module. JavaScript is left to Node. TypeScript is compiled without type checks by ts-node, in the format of
 * its package; where the application registered a compiler of its own (`NODE_OPTIONS`, `require` of the config), that one does it.
 */
export async function loadModule(path: string): Promise<Exports> {
  const kind = formatOf(path)
  if (kind === 'commonjs') return requireModule(path)
  if (isTypeScript(path)) registerLoader()
  return await import(pathToFileURL(path).href) as Exports
}

function requireModule(path: string): Exports {
  const require = createRequire(path)
  if (isTypeScript(path) && !hasCompiler(require, extname(path))) registerCompiler()
  const loaded = require(path) as Exports
  return { ...(isObject(loaded) ? loaded : {}), default: loaded }
}

function isObject(value: unknown): value is Exports {
  return typeof value === 'object' && value !== null
}

function isTypeScript(path: string): boolean {
  return /\.[cm]?ts$/.test(path)
}

// Node itself knows .ts from version 22 on, but compiles no `import` in a CommonJS package: only a hook counts.
function hasCompiler(require: NodeJS.Require, extension: string): boolean {
  const handler = require.extensions[extension]
  return handler !== undefined && (tsNode || !isNodeOwn(handler))
}

function isNodeOwn(handler: (...args: never[]) => unknown): boolean {
  return /loadTS|loadCTS|loadMTS|stripTypeScript/.test(`${handler.name} ${handler.toString()}`)
}

let tsNode = false

function registerCompiler(): void {
  tsNode = true
  const own = createRequire(import.meta.url)
  const { register: registerTsNode } = own('ts-node') as { register(options: object): void }
  registerTsNode({
    transpileOnly: true,
    skipProject: true,
    compilerOptions: {
      module: 'CommonJS',
      moduleResolution: 'node',
      target: 'ES2022',
      esModuleInterop: true,
      allowJs: false,
    },
  })
}

function registerLoader(): void {
  if (hooks || nativeTypeScript() || hasOwnLoader()) return
  hooks = true
  process.env.TS_NODE_TRANSPILE_ONLY ??= 'true'
  process.env.TS_NODE_SKIP_PROJECT ??= 'true'
  process.env.TS_NODE_COMPILER_OPTIONS ??= JSON.stringify({
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    target: 'ES2022',
    esModuleInterop: true,
    allowImportingTsExtensions: true,
    noEmit: true,
  })
  register('ts-node/esm', import.meta.url)
}

function nativeTypeScript(): boolean {
  return Boolean((process.features as { typescript?: unknown }).typescript)
}

function hasOwnLoader(): boolean {
  const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ')
  return /tsx|ts-node|swc|esbuild|register/.test(flags)
}

/** The format Node gives a file: by its extension, else by `type` of the nearest package.json. */
export function formatOf(path: string): 'module' | 'commonjs' {
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

function typeOf(manifest: string): 'module' | 'commonjs' {
  const { type } = JSON.parse(readFileSync(manifest, 'utf8')) as { type?: string }
  return type === 'module' ? 'module' : 'commonjs'
}
