import { expect } from 'chai'
import { type KillProxy, startKillProxy } from '../support/kill_proxy.ts'
import { createLibrary, type Library, told, written } from '../support/library.ts'

describe('the same command at once', function () {
  this.timeout(120_000)
  let library: Library
  let proxy: KillProxy
  let isHeldBack: (path: string) => boolean = () => false
  let letGo: () => void = () => {}

  before(async () => {
    library = await createLibrary({}, { ROWS: 1_000 })
    proxy = await startKillProxy(library.elasticsearchUrl, async ({ path }) => {
      if (isHeldBack(path)) await new Promise<void>((resolve) => letGo = resolve)
      return true
    })
  })
  after(async () => {
    await library.drop()
    await proxy.stop()
  })

  it('fails at once with --no-wait, and says who is at it and how far', async () => {
    isHeldBack = (path) => path.includes('_bulk')
    const holder = library.start(['up'], { ELASTICSEARCH_URL: proxy.url })
    await written(holder, /populating/)
    const refused = await library.cli(['up', '--no-wait'])
    isHeldBack = () => false
    letGo()
    expect(await holder.ended).to.include({ code: 0 })
    expect(refused.code).to.equal(1)
    expect(refused.stderr).to.match(
      new RegExp(`error RUN_LOCK_HELD: .* up of .*, process ${holder.pid}, since .*populating`),
    )
    expect(refused.stderr).to.include('next: ')
  })

  it('case 18: five processes make one run; the others wait, say for whom, and find nothing to do', async () => {
    isHeldBack = (path) => path.includes('_bulk')
    const all = Array.from({ length: 5 }, () => library.start(['up'], { ELASTICSEARCH_URL: proxy.url, REVISION: 2 }))
    await Promise.race(all.map((each) => written(each, /: populating/)))
    const holder = all.find((each) => /^\S+: populating/m.test(each.stdout))!
    const waiting = all.filter((each) => each !== holder)
    const named = new RegExp(`waiting for the run lock: up of .*, process ${holder.pid}, .*populating`)
    await Promise.all(waiting.map((each) => written(each, named)))
    isHeldBack = () => false
    letGo()
    const ended = await Promise.all(all.map((each) => each.ended))
    for (const each of ended) expect(each.code, told(each)).to.equal(0)
    expect(ended.filter((each) => /^\S+: populating/m.test(each.stdout))).to.have.length(1)
    expect(ended.filter((each) => each.stdout.includes('books-2: active, nothing to do'))).to.have.length(4)
  })
})
