import { expect } from 'chai'
import { readVersion, type Version } from '../../src/search/versions.ts'
import { activateVersion } from '../../src/search/lifecycle.ts'
import {
  type Core,
  createCore,
  defineBooks,
  process,
  readyVersion,
  rowTitles,
  serve,
  titles,
  watchSearch,
  write,
} from '../support/core.ts'
import { pluginOf } from '../support/plugin.ts'
import { rejection } from '../support/rejection.ts'

describe('clear', () => {
  const second = defineBooks('second')
  let core: Core
  let first: Version
  let active: Version
  const lines: string[] = []
  const onLine = (line: string) => void lines.push(line)

  before(async () => {
    core = await createCore()
    await write(core, Array.from({ length: 1_200 }, (_, at) => ({ id: at + 1, title: `t${at}` })))
    first = await readyVersion(core)
    await activateVersion(core.lifecycle(), first)
    active = await readyVersion(core, second)
    await activateVersion(core.lifecycle({ definitions: [second] }), active)
  })
  after(() => core.drop())

  const plugin = (search = core.search) => pluginOf(core, { search, config: { indexes: [second] } })
  const count = async ({ physical }: Version) => (await core.client.count({ index: physical })).count

  it('case 10: refuses the active version, and to guess, and has deleted nothing', async () => {
    const { versions } = plugin()
    for (const names of [['books'], ['books@2'], [active.physical]]) {
      const error = await rejection(versions.clear(names))
      expect(error.message).to.match(/is the active version: .*\n {2}next: npx umzug es:clear books@2 --force/)
    }
    expect((await rejection(versions.clear([]))).message).to.match(/not said.*\n {2}next: .*es:list/)
    expect((await rejection(versions.clear([], { all: true }))).message).to.include('--force')
    expect((await rejection(versions.clear(['books@9']))).message).to.include('there are: books@1, books@2')
    expect(await versions.clear(['books'], { force: true, dryRun: true, onLine })).to.have.length(1)
    expect(await count(active)).to.equal(1_200)
  })

  it('empties a version, which nobody can activate until it was filled again', async () => {
    const [cleared] = await plugin().versions.clear(['books'], { older: true, onLine })
    expect(cleared).to.include({ id: first.id, state: 'created' })
    expect(await count(first)).to.equal(0)
    expect(await count(active)).to.equal(1_200)
    const old = pluginOf(core)
    expect(await rejection(old.versions.activate(['books@1']))).to.include({ code: 'VERSION_NOT_READY' })
    await old.versions.update(['books@1'])
    expect(await count(first)).to.equal(1_200)
    expect((await readVersion(core.store, first.id)).state).to.equal('ready')
    const [action] = await old.log({ command: 'es:clear' })
    expect(action).to.include({ state: 'complete', target: first.physical })
    expect(action!.counts).to.deep.equal({ deleted: 1_200 })
  })

  it('lets documents stand of rows that are written meanwhile', async () => {
    let written = false
    const search = watchSearch(core.search, async ({ body }) => {
      if (written || !String(body).startsWith('{"delete"')) return
      written = true
      await write(core, [{ id: 1, title: 'meanwhile' }, { id: 2_000, title: 'new' }])
      await process(core, await serve(core, active, second), { definitions: [second] })
    })
    const [cleared] = await plugin(search).versions.clear(['books'], { force: true, onLine })
    expect(cleared!.state).to.equal('active')
    expect(await titles(core, active.physical)).to.deep.equal({ 1: 'meanwhile', 2000: 'new' })
    expect(lines.join('\n')).to.include('2 were written meanwhile')
  })

  it('is made good by es:verify --repair', async () => {
    await plugin().versions.verify(['books'], { repair: true })
    expect(await titles(core, active.physical)).to.deep.equal(await rowTitles(core))
  })

  it('a delete by query would take the number that a worker has drawn', async () => {
    const index = active.physical
    const document = { index, id: 'x', version: 7, version_type: 'external' as const, refresh: true }
    await core.client.index({ ...document, document: {} })
    await core.client.deleteByQuery({ index, query: { ids: { values: ['x'] } }, refresh: true })
    const late = await core.client.index({ ...document, version: 8, document: {} }, { ignore: [409] })
    expect(late).to.include({ status: 409 })
  })
})
