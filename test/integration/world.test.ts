import { expect } from 'chai'
import { createWorld, killTree, spawnCli, startCli, temporaryApp, waitFor, type World } from '../support/world.ts'

describe('the world of a spec', () => {
  let world: World

  before(async () => {
    world = await createWorld()
  })

  after(() => world.drop())

  it('has a database of its own', async () => {
    const [rows] = await world.sequelize.query('SELECT current_database() AS name')
    expect(world.databaseUrl.endsWith((rows as { name: string }[])[0]!.name)).to.equal(true)
  })

  it('leaves no index, template or database behind', async () => {
    const other = await createWorld()
    await other.client.indices.create({ index: `${other.prefix}books-1` })
    await other.client.indices.putIndexTemplate({
      name: `elastic-umzug-${other.prefix}books`,
      index_patterns: [`${other.prefix}books-*.write`],
    })
    await other.drop()
    expect(await world.client.indices.exists({ index: `${other.prefix}books-1` })).to.equal(false)
    expect(await world.client.indices.existsIndexTemplate({ name: `elastic-umzug-${other.prefix}books` })).to.equal(
      false,
    )
    const [rows] = await world.sequelize.query('SELECT 1 FROM pg_database WHERE datname = ?', {
      replacements: [other.prefix.slice(0, -1)],
    })
    expect(rows).to.have.length(0)
  })
})

describe('a command run by a spec', () => {
  const application = {
    'ok.ts': `import { Sequelize } from 'sequelize'
      const answer: string = typeof Sequelize
      console.log(answer, process.env.EXTRA, process.cwd() === import.meta.dirname)
      console.error('to the other stream')
      process.exitCode = 3`,
    'long.ts': `import { spawn } from 'node:child_process'
      const child = spawn('sleep', ['600'])
      console.log(child.pid)`,
  }
  let app: Awaited<ReturnType<typeof temporaryApp>>

  before(async () => {
    app = await temporaryApp(application)
  })

  after(() => app.remove())

  it('gives exit code and both streams', async () => {
    const { code, stdout, stderr } = await spawnCli([], {
      cwd: app.folder,
      program: `${app.folder}/ok.ts`,
      env: { EXTRA: 'extra' },
    })
    expect(stderr).to.contain('to the other stream')
    expect(stdout).to.contain('function extra')
    expect(code).to.equal(3)
  })

  it('is killed with its children', async () => {
    const running = startCli([], { cwd: app.folder, program: `${app.folder}/long.ts` })
    const pid = await waitFor(() => Number(running.stdout))
    await killTree(running)
    expect((await running.ended).signal).to.equal('SIGKILL')
    await waitFor(() => !isAlive(pid))
  })
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
