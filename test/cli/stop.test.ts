import { expect } from 'chai'
import { fileURLToPath } from 'node:url'
import { startCli } from '../support/cli.ts'
import { type KillProxy, startKillProxy } from '../support/kill_proxy.ts'
import { createLibrary, type Library, told, written } from '../support/library.ts'
import { killTree } from '../support/world.ts'

describe('Ctrl-C', function () {
  this.timeout(120_000)
  let library: Library
  let proxy: KillProxy
  let seen: (path: string) => void = () => {}

  before(async () => {
    library = await createLibrary({}, { ROWS: 2_000 })
    proxy = await startKillProxy(library.elasticsearchUrl, ({ path }) => {
      seen(path)
      return true
    })
  })
  after(async () => {
    await library.drop()
    await proxy.stop()
  })

  it('ends up at a checkpoint of populate, with exit code 130; the next up goes on from there', async () => {
    const child = library.start(['up'], { ELASTICSEARCH_URL: proxy.url })
    let pages = 0
    seen = (path) => {
      if (path.includes('_bulk') && ++pages === 1) child.kill('SIGINT')
    }
    const ended = await child.ended
    seen = () => {}
    expect(ended.code, told(ended)).to.equal(130)
    expect(ended.stderr).to.include('error STOPPED').and.include('next: ')
    const [action] = JSON.parse(await library.done(['log', '--json', '--limit', '1'])) as { state: string }[]
    expect(action!.state).to.equal('aborted')
    await library.done(['up'])
    expect(await library.differences('books', { rows: 'books' })).to.deep.equal([])
  })

  it('ends the wait for another run at once', async () => {
    const program = fileURLToPath(new URL('../support/hold_lock.ts', import.meta.url))
    const holder = startCli([], { program, env: { DATABASE_URL: library.databaseUrl } })
    await written(holder, /held/)
    const child = library.start(['up'])
    await written(child, /waiting for the run lock/)
    child.kill('SIGINT')
    const ended = await child.ended
    await killTree(holder)
    expect(ended.code, told(ended)).to.equal(130)
    expect(ended.stderr).to.include('nothing was done')
  })
})
