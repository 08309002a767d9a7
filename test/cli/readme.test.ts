import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { spawnCli } from '../support/cli.ts'
import { run } from '../support/shell.ts'
import { createWorld, temporaryApp, type World } from '../support/world.ts'

const readme = readFileSync('README.md', 'utf8')
const root = fileURLToPath(new URL('../..', import.meta.url))

const models = `
import { DataTypes, Sequelize } from 'sequelize'
export const sequelize = new Sequelize(process.env.DATABASE_URL!, { logging: false })
const plain = { timestamps: false }
export const Author = sequelize.define('Author', { name: DataTypes.TEXT }, { ...plain, tableName: 'authors' })
export const Book = sequelize.define('Book', { title: DataTypes.TEXT }, { ...plain, tableName: 'books' })
Book.belongsTo(Author, { as: 'author', foreignKey: 'authorId' })
`
const migration = `
CREATE TABLE authors (id serial PRIMARY KEY, name text);
CREATE TABLE books (id serial PRIMARY KEY, title text, "authorId" int REFERENCES authors);
INSERT INTO authors (name) VALUES ('Herman Melville');
INSERT INTO books (title, "authorId") VALUES ('The white whale and the sea', 1);
`

describe('the README', () => {
  let world: World
  before(async () => world = await createWorld())
  after(() => world.drop())

  it('shows the help that the command line gives', async () => {
    const { stdout } = await spawnCli(['--help'])
    // deno-lint-ignore no-control-regex -- the parser prints its last line in bold
    const help = stdout.replace(/\x1b\[\d+m/g, '').split('\n').map((line) => line.trimEnd()).join('\n').trim()
    const shown = readme.split('```text\n').map((each) => each.split('\n```')[0])
    expect(shown).to.include(help)
  })

  it('has a program that type-checks and finds the row that its migration made', async function () {
    this.timeout(120_000)
    const [config = '', application = ''] = readme.split('```ts\n').slice(1).map((each) => each.split('\n```')[0]!)
    const { folder } = await temporaryApp({
      // The one thing that is added: the cluster is shared with other specs.
      'app/umzug.config.ts': config.replace('indexes: [books]', 'indexes: [books], prefix: process.env.PREFIX'),
      'app/application.ts':
        `${application}\nawait search.stop()\nawait client.close()\nawait config.sequelize.close()\n`,
      'app/models.ts': models,
      'app/migrations/1-books.sql': migration,
      'app/package.json': '{ "type": "module" }',
    })
    const app = join(folder, 'app')
    await mkdir(join(app, 'node_modules'))
    await symlink(root, join(app, 'node_modules', 'elastic-umzug'))
    expect(faults(join(app, 'application.ts'))).to.deep.equal([])
    if (!('Deno' in globalThis)) await run('npm', ['run', 'build'], { cwd: root })
    const env = { DATABASE_URL: world.databaseUrl, ELASTICSEARCH_URL: world.elasticsearchUrl, PREFIX: world.prefix }
    const up = await spawnCli(['up'], { cwd: app, env })
    expect(up.stdout + up.stderr).to.include('1 migration applied, 1 index changed')
    const ran = await spawnCli([], { cwd: app, env, program: join(app, 'application.ts') })
    expect(ran.stdout + ran.stderr).to.include('The white whale and the sea').and.include('Herman Melville')
    expect(ran.code).to.equal(0)
  })
})

function faults(file: string): string[] {
  const program = ts.createProgram([file], {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    paths: {
      'elastic-umzug': [join(root, 'src/index.ts')],
      'elastic-umzug/sequelize': [join(root, 'adapters/sequelize/index.ts')],
    },
  })
  return ts.getPreEmitDiagnostics(program).map((each) => ts.flattenDiagnosticMessageText(each.messageText, '\n'))
}
