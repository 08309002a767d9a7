/**
 * Compiles single TypeScript files with the application's own compiler, without type checks.
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Module format of a file. */
export type Format = 'module' | 'commonjs'

/** The members of the `typescript` package that are used. */
interface TypeScript {
  transpileModule(source: string, options: object): { outputText: string; sourceMapText?: string }
  readConfigFile(path: string, read: (path: string) => string | undefined): { config?: object }
  parseJsonConfigFileContent(json: object, host: object, folder: string): { options: object }
  sys: object
}

/** The compiler that a file's project has, or ours; undefined where there is none, and from TypeScript 7 on, which has no such interface. */
export function compilerFor(path: string): TypeScript | undefined {
  for (const from of [path, import.meta.url]) {
    try {
      const loaded = createRequire(from)('typescript') as Partial<TypeScript>
      if (loaded.transpileModule) return loaded as TypeScript
    } catch {
      // Not installed there.
    }
  }
}

/** JavaScript of a file in the given format, with the options of the nearest `tsconfig.json` (decorators, say) and a source map inside. */
export function compile(typescript: TypeScript, path: string, format: Format): string {
  const compilerOptions = { ...optionsFor(typescript, dirname(path)), ...forced }
  if (format === 'commonjs') Object.assign(compilerOptions, { verbatimModuleSyntax: false })
  // The extension tells the compiler the format: it does not look for the package's `type` itself.
  const fileName = path.replace(/\.[cm]?(tsx?)$/, format === 'module' ? '.m$1' : '.c$1')
  const { outputText, sourceMapText } = typescript.transpileModule(readFileSync(path, 'utf8'), {
    compilerOptions,
    fileName,
  })
  return outputText.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '') + sourceMap(sourceMapText, path)
}

const forced = {
  module: 199, // NodeNext
  moduleResolution: 99, // NodeNext
  target: 9, // ES2022
  esModuleInterop: true,
  sourceMap: true,
  inlineSourceMap: false,
  inlineSources: true,
  sourceRoot: undefined,
  noEmit: false,
  emitDeclarationOnly: false,
  declaration: false,
  outDir: undefined,
}

function sourceMap(text: string | undefined, path: string): string {
  if (text === undefined) return ''
  const map = JSON.stringify({ ...(JSON.parse(text) as object), sources: [pathToFileURL(path).href] })
  return `\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString('base64')}\n`
}

const optionsByFolder = new Map<string, object>()

function optionsFor(typescript: TypeScript, folder: string): object {
  const known = optionsByFolder.get(folder)
  if (known) return known
  const options = readOptions(typescript, folder)
  optionsByFolder.set(folder, options)
  return options
}

function readOptions(typescript: TypeScript, folder: string): object {
  const path = join(folder, 'tsconfig.json')
  if (existsSync(path)) {
    const { config } = typescript.readConfigFile(path, (each) => readFileSync(each, 'utf8'))
    // Its files are not wanted: listing them can take seconds.
    const host = { ...typescript.sys, readDirectory: () => [] }
    return typescript.parseJsonConfigFileContent(config ?? {}, host, folder).options
  }
  const parent = dirname(folder)
  return parent === folder ? {} : optionsFor(typescript, parent)
}
