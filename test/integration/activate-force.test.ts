import { expect } from 'chai'
import type { IndexCommands } from '../../src/commands/indexes.ts'
import { activateVersion, createVersion, fillVersion } from '../../src/search/lifecycle.ts'
import { listVersions, type Version } from '../../src/search/versions.ts'
import { type Core, createCore, defineBooks, readyVersion, rowTitles, titles, write } from '../support/core.ts'
import { pluginOf } from '../support/plugin.ts'
import { rejection } from '../support/rejection.ts'

describe('activation', () => {
  const second = defineBooks('second')
  let core: Core
  let alias: string

  before(async () => {
    core = await createCore()
    alias = `${core.world.prefix}books`
  })
  after(() => core.drop())

  const lifecycle = () => core.lifecycle({ definitions: [second] })
  const plugin = () => pluginOf(core, { config: { indexes: [second] } })
  const versions = () => listVersions(core.store, core.world.prefix)
  const interval = async ({ physical }: Version) =>
    (await core.client.indices.getSettings({ index: physical }))[physical]!.settings!.index!.refresh_interval

  it('takes a version that is not filled only by force, says what it lacks, and verify fills it', async () => {
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
    await activateVersion(core.lifecycle(), await readyVersion(core))
    const created = await createVersion(lifecycle(), second)
    const error = await rejection(activateVersion(lifecycle(), created))
    expect(error).to.include({ code: 'VERSION_NOT_READY' })
    expect(error.message).to.include('--force')
    expect(Object.keys(await titles(core, alias))).to.have.length(2)

    await plugin().versions.activate(['books@2'], { force: true, onLine: (line) => void core.lines.push(line) })
    expect(await titles(core, alias)).to.deep.equal({})
    expect(core.lines.join('\n')).to.match(/books-2: activated by force.* created, not ready.*es:verify books --repair/)
    expect(await interval(created), 'its settings of loading').to.equal(undefined)
    await plugin().versions.verify(['books'], { repair: true })
    expect(await titles(core, alias)).to.deep.equal(await rowTitles(core))
  })

  it('takes a version behind its rows by force, but never one that nobody keeps up to date any more', async () => {
    const [first] = await versions()
    await write(core, [{ id: 3, title: 'c' }])
    const waits = activateVersion(lifecycle(), first!, true)
    await waits
    expect(core.lines.join('\n')).to.match(/books-1: activated by force.* changes from before the activation/)
    await core.store.db.query(
      `UPDATE ${core.store.table.index_versions} SET abandoned_at = clock_timestamp() WHERE id = $1`,
      [(await versions())[1]!.id],
    )
    const error = await rejection(activateVersion(lifecycle(), (await versions())[1]!, true))
    expect(error).to.include({ code: 'VERSION_ABANDONED' })
  })

  it('waits until the version is filled that is the newest when it begins', async () => {
    const third = defineBooks('third')
    const lines: string[] = []
    const created = await createVersion(core.lifecycle({ definitions: [third] }), third)
    const changed = pluginOf(core, { config: { indexes: [third] } })
    const activating = changed.versions.activate(['books'], {
      whenReady: true,
      onLine: (line) => void lines.push(line),
    })
    await fillVersion(core.lifecycle({ definitions: [third] }), created, third)
    const [activated] = await activating
    expect(activated!.number).to.equal(created.number)
    expect(lines[0]).to.match(/books-3: created; waiting until it is ready/)
    expect(await titles(core, alias)).to.deep.equal(await rowTitles(core))
  })

  it('ends the wait at the signal, and has moved nothing', async () => {
    const fourth = defineBooks('fourth')
    await createVersion(core.lifecycle({ definitions: [fourth] }), fourth)
    const signal = AbortSignal.timeout(300)
    const error = await rejection(plugin().versions.activate(['books'], { whenReady: true, signal }))
    expect(error).to.include({ code: 'STOPPED' })
    expect((await versions()).find((each) => each.state === 'active')!.number).to.equal(3)
  })

  it('does not wait inside a migration, which keeps everybody from filling it', async () => {
    const signal = AbortSignal.timeout(3_000)
    const name = '1-activate.js'
    const up = ({ context }: { context: { elastic: IndexCommands } }) =>
      context.elastic.activate(['books'], { whenReady: true, signal })
    const error = await rejection(pluginOf(core, { config: { indexes: [second], migrations: [{ name, up }] } }).up())
    expect(error).to.include({ code: 'MIGRATION_FAILED' })
    expect(error.message).to.include('books-4 is created, and cannot get ready during a migration')
    expect(signal.aborted).to.equal(false)
  })
})
