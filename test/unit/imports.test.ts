import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path/posix'
import glob from 'fast-glob'
import ts from 'typescript'

const ground = ['src/ports', 'src/errors', 'src/sql', 'src/events', 'src/redact', 'src/version']
const store = [...ground, 'src/store']
const search = [...store, 'src/search']
const config = ['src/config', 'src/config-checks']
const features = [...search, 'src/queue', 'src/migrations', 'src/capture', ...config]
const plugin = [...features, 'src/commands', 'src/plugin']
const toAdapters = [...ground, ...config, 'src/search/definition', 'src/capture/relied', 'src/store/record']

/** What the files below a path may import; the longest path that fits counts. */
const mayImport: Record<string, string[]> = {
  'src/ports': ground,
  'src/errors': ground,
  'src/sql': ground,
  'src/events': ground,
  'src/redact': ground,
  'src/version': ground,
  'src/config': [...ground, ...config, 'src/search/definition'],
  'src/config-checks': config,
  'src/store': store,
  'src/search': search,
  'src/capture': [...store, 'src/capture'],
  'src/capture/relied': ground,
  'src/migrations': [...store, ...config, 'src/migrations'],
  'src/queue': [...search, 'src/queue'],
  'src/commands': [...features, 'src/commands'],
  'src/plugin': plugin,
  'src/migration': plugin,
  'src/cli': [...plugin, 'src/cli'],
  'src/databases': [...ground, ...config, 'src/search/definition'],
  'src/joined': [...plugin, 'src/joined'],
  'src/redirect': plugin,
  'src/compose': [...plugin, 'src/databases', 'src/joined', 'src/redirect', 'adapters'],
  'src/index': [...plugin, 'src/migration', 'src/compose'],
  'src/testing': [...plugin, 'src/compose', 'src/redirect', 'src/testing'],
  'adapters': [...toAdapters, 'adapters'],
  // The program, not an adapter: it puts the command line and the parts together.
  'adapters/node/bin': ['src/cli/main', 'src/compose', 'adapters/runtime'],
}

interface Import {
  file: string
  target: string
}

const files = glob.sync('{src,adapters}/**/*.ts').sort()
const imports = files.flatMap(importsOf)

describe('the imports of src and adapters', () => {
  it('are read', () => {
    expect(imports).to.deep.include({ file: 'src/queue/process.ts', target: 'src/ports' })
    expect(imports).to.deep.include({ file: 'src/migrations/runner.ts', target: 'umzug' })
  })

  it('have a rule for every file', () => {
    expect(files.filter((file) => ruleOf(file) === undefined)).to.deep.equal([])
  })

  it('point in one direction', () => {
    const wrong = imports.filter(({ file, target }) => isOwn(target) && !isAllowed(file, target))
    expect(wrong.map(print)).to.deep.equal([])
  })

  it('name umzug in src/migrations/runner.ts only', () => {
    const others = imports.filter(({ file, target }) => target === 'umzug' && file !== 'src/migrations/runner.ts')
    expect(others.map(print)).to.deep.equal([])
  })

  it('name modules of the platform in adapters/node and adapters/deno only', () => {
    const wrong = imports.filter(({ file, target }) => /^node:/.test(target) && !isOfPlatform(file))
    expect(wrong.map(print)).to.deep.equal([])
  })
})

describe('the code of src and adapters', () => {
  it('uses the API of the platform in adapters/node and adapters/deno only', () => {
    const uses = files.filter((file) => !isOfPlatform(file)).flatMap((file) =>
      platformUses(read(file)).map((use) => `${file}: ${use}`)
    )
    expect(uses).to.deep.equal([])
  })

  it('imports Sequelize, pg and the Elasticsearch client as types only', () => {
    const peers = /^import (?!type\b)[^;]*?from '(sequelize|pg|@elastic\/elasticsearch)'/m
    expect(files.filter((file) => peers.test(read(file)))).to.deep.equal([])
  })

  it('is told from comments, texts and names of its own', () => {
    const text =
      "// process.env\nconst process = 1; 'Deno.env'; it.process.x; const { process: p } = q; a = process.pid; Deno.exit()"
    expect(platformUses(text)).to.deep.equal(['process', 'Deno'])
  })
})

function read(file: string): string {
  return readFileSync(file, 'utf8')
}

function importsOf(file: string): Import[] {
  const found = ts.preProcessFile(read(file)).importedFiles.map((each) => each.fileName)
  return found.map((name) => ({
    file,
    target: name.startsWith('.') ? join(dirname(file), name).replace(/\.ts$/, '') : name,
  }))
}

function isOwn(target: string): boolean {
  return /^(src|adapters)\//.test(target)
}

function isOfPlatform(file: string): boolean {
  return /^adapters\/(node|deno)\//.test(file)
}

function isAllowed(file: string, target: string): boolean {
  return (ruleOf(file) ?? []).some((area) => isWithin(target, area))
}

function ruleOf(file: string): string[] | undefined {
  const areas = Object.keys(mayImport).filter((area) => isWithin(file.replace(/\.ts$/, ''), area))
  const closest = areas.sort((one, other) => other.length - one.length)[0]
  return closest === undefined ? undefined : mayImport[closest]
}

function isWithin(path: string, area: string): boolean {
  return path === area || path.startsWith(`${area}/`)
}

function print({ file, target }: Import): string {
  return `${file} imports ${target}`
}

/** Names of the platform followed by a member, outside comments and texts, and not themselves a member of something. */
function platformUses(text: string): string[] {
  const uses: string[] = []
  const source = ts.createSourceFile('x.ts', text, ts.ScriptTarget.ESNext)
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
      if (['process', 'Deno', 'Buffer', '__dirname', 'require'].includes(node.expression.text)) {
        uses.push(node.expression.text)
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return uses
}
