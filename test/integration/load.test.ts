import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { expect } from 'chai'
import ts from 'typescript'
import { nodeOf } from '../support/nodes.ts'
import { temporaryApp } from '../support/world.ts'

const isDeno = 'Deno' in globalThis
const adapter = (name: string) => new URL(`../../adapters/node/${name}.ts`, import.meta.url)

// 0 is the runtime that runs the specs.
const majors = isDeno ? [0] : [0, 22, 24]

const shared = {
  'other.ts': `export const value: string = 'other'`,
  'dep.cjs': `exports.value = 'dep'`,
  'folder/index.ts': `export const value = 'folder'`,
  'probe.txt': '',
}

const probe = `
const { loadModule } = await import(process.argv[2])
const shown = []
for (const path of process.argv.slice(3)) {
  try {
    const loaded = await loadModule(path)
    const owner = [loaded, loaded.default, loaded.default?.default].find((each) => typeof each?.up === 'function')
    shown.push(await owner.up())
  } catch (error) { shown.push(String(error?.stack ?? error).split('\\n').slice(0, 6).join(' ')) }
}
console.log(JSON.stringify(shown))
`

// The adapter as it is published: JavaScript, so that no compiler of ours is at work in the other process.
function published(): Record<string, string> {
  const compilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2022,
    rewriteRelativeImportExtensions: true,
  }
  return Object.fromEntries(['load', 'hooks', 'compile', 'format'].map((name) => [
    `adapter/${name}.js`,
    ts.transpileModule(readFileSync(adapter(name), 'utf8'), { compilerOptions }).outputText,
  ]))
}

async function loadAll(
  runtime: string,
  files: Record<string, string>,
  nodeOptions = '',
): Promise<Record<string, string>> {
  const app = await temporaryApp({
    ...shared,
    ...files,
    ...published(),
    'adapter/package.json': '{ "type": "module" }',
    'probe.mjs': probe,
  })
  const names = Object.keys(files).filter((each) => /^\d/.test(each))
  const program = isDeno ? ['run', '-A', '--no-lock', '--node-modules-dir=manual', 'probe.mjs'] : ['probe.mjs']
  const entry = isDeno ? adapter('load').href : `${app.folder}/adapter/load.js`
  const env = { ...process.env, NODE_OPTIONS: nodeOptions }
  const args = [...program, entry, ...names.map((each) => `${app.folder}/${each}`)]
  try {
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve, reject) =>
      execFile(
        runtime,
        args,
        { cwd: app.folder, env },
        (error, stdout, stderr) => error ? reject(error) : resolve({ stdout, stderr }),
      )
    )
    const shown = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as string[]
    return { ...Object.fromEntries(names.map((each, index) => [each, shown[index]!])), stderr }
  } finally {
    await app.remove()
  }
}

const both = {
  '01-ts.ts': `import { value } from './other.ts'\nexport const up = (): string => value`,
  '02-js.ts': `import { value } from './other.js'\nexport const up = (): string => value`,
  '03-bare.ts':
    `import { value } from './other'\nimport { value as second } from './folder'\nexport const up = (): string => value + second`,
  '04-mts.mts': `import { value } from './other.js'\nexport default { up: (): string => value }`,
  '05-cts.cts': `import dep = require('./dep.cjs')\nexport const up = (): string => dep.value`,
  '06-cjs.cjs': `module.exports = { value: require('./dep.cjs').value, up() { return this.value } }`,
  '07-mjs.mjs': `import { value } from './dep.cjs'\nexport default { up: () => value }`,
  '08-package.ts': `import { DataTypes } from 'sequelize'\nexport const up = (): string => typeof DataTypes.STRING`,
  '09-lines.ts': `interface A {\n  a: string\n}\n\nexport const up = (): string => {\n  throw new Error('here')\n}`,
}
const expected = {
  '01-ts.ts': 'other',
  '02-js.ts': 'other',
  '03-bare.ts': 'otherfolder',
  '04-mts.mts': 'other',
  '05-cts.cts': 'dep',
  '06-cjs.cjs': 'dep',
  '07-mjs.mjs': 'dep',
  '08-package.ts': 'function',
}
const notErasable = `enum Color { Red = 'red' }
function mark(target: object, key: string | symbol, index: number) { void target; void key; marks.push(index) }
const marks: number[] = []
class Painter { paint(@mark color: Color) { return color } }
export const up = (): string => new Painter().paint(Color.Red) + marks.length`
const decorators = {
  'tsconfig.json':
    '{ "compilerOptions": { "experimentalDecorators": true, "module": "ESNext", "moduleResolution": "bundler", "noEmit": true } }',
}

for (const major of majors) {
  describe(`modules of an application, loaded by ${major === 0 ? 'this runtime' : `Node ${major}`}`, function () {
    this.timeout(300_000)
    let runtime: string

    before(async function () {
      const found = major === 0 ? process.execPath : await nodeOf(major)
      if (found === undefined) return this.skip()
      runtime = found
    })

    it('load in an ESM package', async () => {
      const found = await loadAll(runtime, {
        ...both,
        '10-js.js': `import { value } from './dep.cjs'\nexport const up = () => value`,
      })
      expect(found).to.deep.include({ ...expected, '10-js.js': 'dep' })
      expect(found['09-lines.ts']).to.match(/Error: here.*09-lines\.ts:6:9/)
    })

    for (const [kind, manifest] of [['without type', '{}'], ['of type commonjs', '{ "type": "commonjs" }']] as const) {
      it(`load in a package ${kind}`, async () => {
        const found = await loadAll(runtime, {
          'package.json': manifest,
          ...both,
          '10-require.ts': `import dep = require('./dep.cjs')\nexport const up = (): string => dep.value`,
          '11-exports.ts': `const { value } = require('./other')\nexports.up = (): string => value`,
          '12-js.js': `const { value } = require('./dep.cjs')\nexports.up = () => value`,
          ...(kind === 'without type' &&
            { '13-esm.js': `import { value } from './dep.cjs'\nexport const up = () => value` }),
          '14-assign.ts': `class Migration { up(): string { return 'assigned' } }\nexport = new Migration()`,
        })
        expect(found).to.deep.include({
          ...expected,
          '10-require.ts': 'dep',
          '11-exports.ts': 'other',
          '12-js.js': 'dep',
          '14-assign.ts': 'assigned',
        })
        if (kind === 'without type') expect(found).to.include({ '13-esm.js': 'dep' })
        // Deno reads no source map of what is required.
        if (!isDeno) expect(found['09-lines.ts']).to.match(/Error: here.*09-lines\.ts:6:9/)
      })
    }

    it('load TypeScript from JavaScript, in an ESM package and in others', async () => {
      for (const manifest of ['{ "type": "module" }', '{}']) {
        const found = await loadAll(runtime, {
          'package.json': manifest,
          '01-esm.mjs': `import { value } from './other.ts'\nexport const up = () => value`,
          '02-later.mjs': `export const up = async () => (await import('./other.ts')).value`,
          ...(manifest === '{}' &&
            { '03-require.cjs': `const { value } = require('./other.ts')\nexports.up = () => value` }),
        })
        expect(found).to.include({ '01-esm.mjs': 'other', '02-later.mjs': 'other' })
        // Deno takes required `.ts` for ESM or CommonJS as it sees fit.
        if (manifest === '{}') expect(found).to.include({ '03-require.cjs': 'other' })
      }
    })

    it('compile what is not erasable, with the options of the project', async () => {
      for (const manifest of ['{ "type": "module" }', '{}']) {
        const found = await loadAll(runtime, { 'package.json': manifest, ...decorators, '01-more.ts': notErasable })
        expect(found).to.include({ '01-more.ts': 'red1' })
      }
    })

    it('are left to the loader that the application brings', async function () {
      if (isDeno) return this.skip()
      const files = {
        'package.json': '{}',
        'own.cjs':
          `require.extensions['.ts'] = (module, path) => module._compile('exports.up = () => "own loader"', path)`,
        '01-any.ts': 'language = of(their, own)',
      }
      expect(await loadAll(runtime, files, '--require ./own.cjs')).to.include({ '01-any.ts': 'own loader' })
    })

    it('leave the environment as it was, and say nothing', async function () {
      if (isDeno) return this.skip()
      const found = await loadAll(runtime, {
        '01-env.ts': `export const up = () => Object.keys(process.env).filter((each) => /TS_NODE/.test(each)).join()`,
      })
      expect(found).to.deep.equal({ '01-env.ts': '', stderr: '' })
    })
  })
}
