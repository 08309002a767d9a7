import { expect } from 'chai'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { type Answered, type KillProxy, startKillProxy } from '../support/kill_proxy.ts'
import { createLibrary, type Library, told } from '../support/library.ts'
import { rejection } from '../support/rejection.ts'
import { run } from '../support/shell.ts'

const leaseMs = 1_000

describe('drop, clear, reset and restore, killed at each step', function () {
  this.timeout(240_000)
  let library: Library
  let proxy: KillProxy
  let answered: Answered = () => true

  before(async () => {
    library = await createLibrary({}, { ROWS: 300, LEASE_MS: leaseMs })
    proxy = await startKillProxy(library.elasticsearchUrl, (exchange) => answered(exchange))
    await library.done(['up'])
  })
  after(async () => {
    await library.drop()
    await proxy.stop()
  })

  const killed = async (args: string[], isMoment: Answered) => {
    const child = library.start(args, { ELASTICSEARCH_URL: proxy.url })
    answered = (exchange) => {
      if (!isMoment(exchange)) return true
      child.kill('SIGKILL')
      return false
    }
    expect((await child.ended).signal, told(child)).to.equal('SIGKILL')
    answered = () => true
  }
  const states = async () =>
    (await library.sql<{ line: string }>(
      `SELECT replace(physical, $1, '') || ' ' || state || CASE WHEN state = 'dropped' AND removed_at IS NULL THEN ', not deleted' ELSE '' END AS line
       FROM elastic_umzug.index_versions WHERE physical LIKE '%books%' ORDER BY id`,
      [library.prefix],
    )).map((each) => each.line)
  const exists = (number: number) => library.client.indices.exists({ index: library.physical('books', number) })
  const pointed = async () => Object.keys(await library.client.indices.getAlias({ name: `${library.prefix}books` }))
  const another = () => library.done(['es:create', 'books', '--force'])

  it('drop: after the mark, after the write alias went, after the index went', async () => {
    const moments: [string, Answered, string[]][] = [
      ['write alias', ({ path, body }) => path === '/_aliases' && body.includes('.write'), [
        'books-1 active',
        'books-2 dropped, not deleted',
      ]],
      ['deleted', ({ method }) => method === 'DELETE', ['books-1 active', 'books-2 dropped, not deleted']],
    ]
    await another()
    for (const [name, isMoment, left] of moments) {
      await killed(['es:drop', 'books@2', '--yes'], isMoment)
      expect(await states(), name).to.deep.equal(left)
    }
    expect(await exists(2)).to.equal(false)
    expect(await library.done(['es:drop', 'books@2', '--yes'])).to.include('books-2: deleted')
    expect(await states()).to.deep.equal(['books-1 active', 'books-2 dropped'])
    expect(await pointed()).to.deep.equal([library.physical('books', 1)])
    const actions = JSON.parse(await library.done(['log', '--json'])) as { action: string; state: string }[]
    const drops = actions.filter((each) => each.action === 'es:drop').map((each) => each.state)
    expect(drops).to.deep.equal(['complete', 'interrupted', 'interrupted'])
  })

  it('drop: up ends what a killed one has begun', async () => {
    await another()
    await killed(['es:drop', 'books@3', '--yes'], ({ path, body }) => path === '/_aliases' && body.includes('.write'))
    expect(await library.done(['up'])).to.include('books-3: deleted')
    expect(await exists(3)).to.equal(false)
  })

  it('clear: within the deletes, and the same again', async () => {
    await another()
    await library.done(['es:update', 'books@4'])
    await killed(['es:clear', 'books@4', '--yes'], ({ body }) => body.startsWith('{"delete"'))
    expect((await states()).at(-1)).to.equal('books-4 created')
    expect(await library.done(['es:clear', 'books@4', '--yes'])).to.match(/books-4: cleared/)
    expect((await library.client.count({ index: library.physical('books', 4) })).count).to.equal(0)
    const error = await library.cli(['es:activate', 'books@4'])
    expect(error.stderr).to.include('VERSION_NOT_READY')
    await library.done(['es:update', 'books@4'])
    expect(await library.differences('books-4', { rows: 'books' })).to.deep.equal([])
  })

  it('restore: after the index was made, and the same again', async () => {
    await library.client.indices.delete({ index: library.physical('books', 4) })
    await killed(['es:create', '--restore'], ({ method, path }) => method === 'PUT' && path.endsWith('books-4'))
    expect((await states()).at(-1)).to.equal('books-4 created')
    expect(await library.done(['es:create', '--restore'])).to.match(/books-4: is there, as it was defined/)
    await library.done(['es:update', 'books@4'])
    expect(await library.differences('books-4', { rows: 'books' })).to.deep.equal([])
  })

  it('reset: before the new version is filled, and after its alias moved; the same again begins anew', async () => {
    await killed(['es:reset', 'books', '--yes'], ({ path }) => path.includes('_bulk'))
    expect(await pointed(), 'readers go on').to.deep.equal([library.physical('books', 1)])
    await killed(
      ['es:reset', 'books', '--yes'],
      ({ path, body }) => path === '/_aliases' && body.includes(`"${library.prefix}books"`),
    )
    await library.done(['es:reset', 'books', '--yes'])
    const ended = await states()
    expect(ended.slice(0, -1).every((each) => /dropped$/.test(each)), ended.join()).to.equal(true)
    expect(ended.at(-1)).to.match(/active$/)
    const [index] = await pointed()
    const left = Object.keys(await library.client.indices.get({ index: `${library.prefix}books-*` }))
    expect(left).to.deep.equal([index])
    expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
  })

  it('asks in a terminal, and is refused elsewhere with the command that does it', async () => {
    const refused = await library.cli(['es:reset'])
    expect(refused.code).to.equal(2)
    expect(refused.stdout).to.match(/books-\d+: active, would be dropped/)
    expect(refused.stderr).to.include('next: npx umzug es:reset --yes')
    const listed = JSON.parse(await library.done(['es:drop', 'books', '--force', '--dry-run', '--json'])) as object[]
    expect(listed).to.have.length(1)
    if ('Deno' in globalThis) return
    const root = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
    const program = [
      process.execPath,
      '--no-warnings',
      '--import',
      root('register.mjs'),
      root('adapters/node/bin.ts'),
      'es:reset',
    ]
    const env = {
      DATABASE_URL: library.databaseUrl,
      ELASTICSEARCH_URL: library.elasticsearchUrl,
      PREFIX: library.prefix,
    }
    const asked = run('sh', ['-c', `echo no | script -qec '${program.join(' ')}' /dev/null`], {
      cwd: root('test/fixtures/library'),
      env: { ...process.env, ...env },
    })
    const { message } = await rejection(asked)
    expect(message).to.include('Drop and build all of this? [y/N]').and.include('Not confirmed: nothing was changed')
  })
})
