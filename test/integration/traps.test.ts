import { expect } from 'chai'
import { defineIndex, type Definition } from '../../src/search/definition.ts'
import type { SearchRequest } from '../../src/ports.ts'
import { expectRefusal, runHere } from '../support/bad_input.ts'
import { type Core, createCore, watchSearch, write } from '../support/core.ts'
import { pluginOf } from '../support/plugin.ts'
import { rejection } from '../support/rejection.ts'
import { bookSource } from '../support/simple_source.ts'

// What other systems of migrations for search do wrong, and no other spec looks at.
describe('traps of other systems', () => {
  let core: Core
  let lenient: Definition
  const lines: string[] = []
  const onLine = (line: string) => void lines.push(line)

  before(async () => {
    core = await createCore()
    lenient = defineIndex({
      name: 'lenient',
      source: bookSource(),
      mappings: { properties: { title: { type: 'text' } } },
    })
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
  })
  after(() => core.drop())

  const plugin = (indexes: Definition[] = [core.books], changes: object = {}) =>
    pluginOf(core, { config: { indexes, leaseMs: 500 }, ...changes })
  const physical = async () =>
    Object.keys(await core.client.indices.get({ index: `${core.world.prefix}*` }))
      .map((each) => each.replace(core.world.prefix, '')).sort()

  it('the start of an application makes no version and moves no alias', async () => {
    const changes: SearchRequest[] = []
    const search = watchSearch(core.search, (request) => {
      if (request.method !== 'GET' && !/marker|elastic-umzug~/.test(request.path)) changes.push(request)
      return undefined
    })
    const application = plugin([core.books], { search })
    await application.start()
    await application.stop()
    expect(changes.map(({ method, path }) => `${method} ${path}`)).to.deep.equal([])
    expect(await plugin().versions.list()).to.deep.equal([])
    expect(await physical()).to.deep.equal([])
  })

  it('one part that fails is the only one that is recorded as failed', async () => {
    await write(core, [{ id: 3, title: 'refused by strict mappings' }])
    const both = plugin([core.books, lenient])
    expect(await rejection(both.versions.update())).to.include({ code: 'DOCUMENT_REFUSED' })
    const [last] = await both.log({ command: 'es:update' })
    const { state, parts } = await both.logOf(last!.id)
    expect(state).to.equal('aborted')
    expect(parts.map((each) => `${each.target!.replace(core.world.prefix, '')} ${each.state}`)).to.deep.equal([
      'books-1 aborted',
      'lenient-1 complete',
    ])
    await write(core, [{ id: 3, title: 'c' }])
    await both.up()
  })

  it('--older and --newer of nothing do nothing, and say so', async () => {
    lines.length = 0
    expect(await plugin().versions.update(['books'], { newer: true, onLine })).to.deep.equal([])
    expect(lines.join('\n')).to.include('no version is chosen, nothing to do')
    expect(await plugin().versions.drop(['books'], { older: true, onLine })).to.deep.equal([])
    expect(await plugin().versions.clear(['books'], { older: true, onLine })).to.deep.equal([])
  })

  it('every command names the versions that there are where a number is wrong', async () => {
    const { versions } = plugin()
    const wrong = ['books@99']
    for (
      const command of [
        versions.update(wrong),
        versions.activate(wrong),
        versions.verify(wrong),
        versions.clear(wrong),
        versions.drop(wrong),
        versions.list(wrong),
      ]
    ) {
      const error = await rejection(command)
      expect(error).to.include({ code: 'VERSION_UNKNOWN' })
      expect(error.message).to.match(/"books@99".*books@1[^]*\n {2}next: ./)
    }
  })

  it('foreign indexes outlive drops and resets of everything', async () => {
    const foreign = `${core.world.prefix}books-foreign`
    const other = `${core.world.prefix}other-7`
    for (const index of [foreign, other]) {
      await core.client.indices.create({ index, settings: { number_of_replicas: 0 } })
    }
    const both = plugin([core.books, lenient])
    await both.versions.reset()
    expect(await physical()).to.deep.equal(['books-2', 'books-foreign', 'lenient-2', 'other-7'])
    await both.versions.drop([], { all: true, force: true })
    expect(await physical()).to.deep.equal(['books-foreign', 'other-7'])
    expect((await both.versions.list([], { dropped: true })).length, 'kept on record').to.equal(4)
  })

  it('the command line takes no name for the value of an option, and the bare family for no command', async () => {
    const run = (...args: string[]) => runHere(args, '.')
    expectRefusal(await run('es:update', '--workers', 'books'), {
      code: 'COMMAND_INVALID',
      exit: 2,
      next: 'npx umzug es:update --help',
    })
    expectRefusal(await run('es', '--list'), { code: 'COMMAND_INVALID', exit: 2, next: 'npx umzug --help' })
  })
})
