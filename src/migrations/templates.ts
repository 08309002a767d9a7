/**
 * Contents of new migration files.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Runtime } from '../ports.ts'
import { baseName } from './names.ts'

/** The option of `create` that names a template. */
export const templateParameter = {
  parameterLongName: '--template',
  argumentName: 'NAME',
  description: "What the file begins with: search, sql, umzug, or one of the project's own templates.",
} as const

/** What a new file depends on. */
export interface TemplateOptions {
  runtime: Runtime
  /** Folder with templates of the project, `NAME.EXTENSION`, which come before ours. */
  folder: string | undefined
  /** `search`, `sql`, `umzug` or one of the project's; by default `umzug` (`sql` for `.sql` files). */
  template: string | undefined
  /** Index that the example in a `search` migration names. */
  index: string
}

/** A file to write. */
export type NewFile = [path: string, content: string]

/** Files of a new migration: one, or two for `.sql` (the second goes down). Throws `COMMAND_INVALID` for a template that does not exist. */
export async function newFiles(path: string, options: TemplateOptions): Promise<NewFile[]> {
  if (await options.runtime.exists(path)) refuse(`${path} exists already`, 'give another --name')
  const extension = path.slice(path.lastIndexOf('.') + 1)
  const template = options.template ?? (extension === 'sql' ? 'sql' : 'umzug')
  const down = options.runtime.resolve(options.runtime.dirname(path), 'down', baseName(path))
  const own = await ownTemplate(options, `${template}.${extension}`)
  if (extension === 'sql') {
    const ownDown = await ownTemplate(options, `${template}.down.sql`)
    if (own === undefined && template !== 'sql') {
      refuse(`There is no template "${template}" for .sql files`, '--template sql')
    }
    return [[path, own ?? '-- up migration\n'], [down, ownDown ?? '-- down migration\n']]
  }
  return [[path, own ?? await builtIn(path, extension, options)]]
}

async function ownTemplate({ runtime, folder }: TemplateOptions, name: string): Promise<string | undefined> {
  const path = folder === undefined ? undefined : runtime.resolve(folder, name)
  return path !== undefined && await runtime.exists(path) ? await runtime.readText(path) : undefined
}

type Bodies = (options: TemplateOptions) => { up: string; down: string }

const bodies: Record<string, Bodies> = {
  umzug: () => ({ up: '', down: '' }),
  sql: () => ({ up: 'await context.sequelize.query(`\n  `)', down: 'await context.sequelize.query(`\n  `)' }),
  search: ({ index }) => ({
    up: `await context.elastic.update(['${index}'])\n  await context.elastic.activate(['${index}'])`,
    down: '',
  }),
}

async function builtIn(path: string, extension: string, options: TemplateOptions): Promise<string> {
  const template = options.template ?? 'umzug'
  const body = bodies[template]
  if (!body) {
    return refuse(
      `There is no template "${template}" for .${extension} files`,
      `--template ${Object.keys(bodies).join('|')}`,
    )
  }
  if (!/^[cm]?[jt]s$/.test(extension)) return ''
  const { up, down } = body(options)
  const { head, open } = await styleOf(path, extension, options.runtime)
  return `${head}${open('up')} = async ({ context }) => ${block(up)}\n\n${open('down')} = async ({ context }) => ${
    block(down)
  }\n`
}

interface Style {
  head: string
  open(name: string): string
}

async function styleOf(path: string, extension: string, runtime: Runtime): Promise<Style> {
  if (extension === 'ts' || extension === 'mts') {
    return {
      head: "import type { Migration } from 'elastic-umzug'\n\n",
      open: (name) => `export const ${name}: Migration`,
    }
  }
  const isModule = extension === 'mjs' || (extension === 'js' && await isModuleFolder(runtime, path))
  const type = "/** @type {import('elastic-umzug').Migration} */\n"
  return { head: '', open: (name) => `${type}${isModule ? 'export const ' : 'exports.'}${name}` }
}

function block(body: string): string {
  return body === '' ? '{}' : `{\n  ${body}\n}`
}

async function isModuleFolder(runtime: Runtime, path: string): Promise<boolean> {
  for (let folder = runtime.dirname(path);;) {
    const manifest = runtime.resolve(folder, 'package.json')
    if (await runtime.exists(manifest)) {
      return (JSON.parse(await runtime.readText(manifest)) as { type?: string }).type === 'module'
    }
    const parent = runtime.dirname(folder)
    if (parent === folder) return false
    folder = parent
  }
}

function refuse(what: string, next: string): never {
  throw new ElasticUmzugError('COMMAND_INVALID', `${what}.`, { next })
}
