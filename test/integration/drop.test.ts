import { expect } from 'chai'
import { dropDeps } from '../../src/commands/finish-drops.ts'
import { indexCommands } from '../../src/commands/indexes.ts'
import { markDropped, removeDropped } from '../../src/search/drop.ts'
import { activateVersion, createVersion, fillVersion } from '../../src/search/lifecycle.ts'
import { dropSuperfluous } from '../../src/search/superfluous.ts'
import { listVersions, readVersion, type Version, writeAlias } from '../../src/search/versions.ts'
import {
  type Core,
  createCore,
  createGate,
  defineBooks,
  readyVersion,
  watchSearch,
  watchSource,
  write,
} from '../support/core.ts'
import { baseOf, pluginOf } from '../support/plugin.ts'
import { rejection } from '../support/rejection.ts'

const leaseMs = 600

describe('drop', () => {
  let core: Core
  let alias: string
  const lines: string[] = []
  const onLine = (line: string) => void lines.push(line)

  before(async () => {
    core = await createCore()
    alias = `${core.world.prefix}books`
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
    await activateVersion(core.lifecycle(), await readyVersion(core))
  })
  after(() => core.drop())

  const plugin = () => pluginOf(core, { config: { leaseMs, keepRetired: 9 } })
  const versions = () => listVersions(core.store, core.world.prefix)
  const active = async () => (await versions()).find((each) => each.state === 'active')!
  const exists = (index: string) => core.client.indices.exists({ index })
  const pointed = async () =>
    Object.keys(await core.client.indices.getAlias({ name: alias }, { ignore: [404] }))
      .filter((each) => each.startsWith(core.world.prefix))
  const another = async (name: string) => {
    const definition = defineBooks(name)
    return { definition, version: await createVersion(core.lifecycle({ definitions: [definition] }), definition) }
  }
  const finishing = () => dropDeps(baseOf(core, { config: { leaseMs } }), core.world.prefix, onLine)
  const finish = () => removeDropped(finishing())
  const ageMark = ({ id }: Version) =>
    core.sql(`UPDATE elastic_umzug.index_versions SET dropped_at = dropped_at - interval '1 hour' WHERE id = $1`, [id])

  it('case 10: refuses what needs force or stands for nothing, with the next command, and has changed nothing', async () => {
    const { version } = await another('refused')
    const name = `books@${version.number}`
    const refusals: [names: string[], options: object, message: RegExp, next: RegExp][] = [
      [
        ['books'],
        {},
        /"books" means all its versions: .*books-1 \(active\)/,
        new RegExp(`es:drop ${name} drops one; --force`),
      ],
      [['books@1'], {}, /books-1 is the active version/, /es:activate books@N.*es:drop books@1 --force/],
      [[], { all: true }, /--all means all \d+ versions/, /--force drops them all/],
      [[], { allActive: true }, /active version/, /--force/],
      [[], {}, /not said which/, /es:list.*es:drop NAME@N/],
      [['books@99'], {}, /no version "books@99"; there are: books@1/, /es:list/],
      [['cooks-1'], {}, /no version "cooks-1"/, /es:list/],
      [['books@1'], { older: true, newer: true }, /--older and --newer/, /leave one/],
      [['books@1'], { prefix: 'other_' }, /No index .* prefix "other_"; there are/, /correct --prefix/],
    ]
    const before = await versions()
    for (const [names, options, message, next] of refusals) {
      const error = await rejection(plugin().versions.drop(names, options))
      expect(error.message).to.match(message)
      expect((error as unknown as { next: string }).next).to.match(next)
    }
    expect(await versions()).to.deep.equal(before)
    const [newer] = await plugin().versions.drop(['books@1'], { newer: true, onLine })
    expect(newer).to.include({ id: version.id, state: 'dropped' })
    expect(await exists(version.physical)).to.equal(false)
  })

  it('deletes an index one lease after the mark, keeps the version on record, and leaves the active one alone', async () => {
    const { version } = await another('simple')
    const began = Date.now()
    const dropping = plugin().versions.drop([version.physical], { onLine })
    for (let state = ''; state !== 'dropped'; state = (await readVersion(core.store, version.id)).state);
    expect(await exists(version.physical), 'at the mark').to.equal(true)
    await dropping
    expect(Date.now() - began).to.be.at.least(leaseMs)
    expect(await exists(version.physical)).to.equal(false)
    expect(await pointed()).to.deep.equal([(await active()).physical])
    const dropped = await plugin().versions.list([], { dropped: true })
    expect(dropped.at(-1)!.physical).to.equal(version.physical)
    expect(dropped.at(-1)!.droppedAt! < dropped.at(-1)!.removedAt!).to.equal(true)
    const [action] = await plugin().log({ command: 'es:drop' })
    expect(action).to.include({ state: 'complete', target: version.physical })
    expect(action!.log).to.match(/dropped\n.*deleted when no request/)
    // Once more: nothing is left to do, and that is no error.
    expect(await plugin().versions.drop([version.physical])).to.deep.equal([])
    expect((await rejection(plugin().versions.activate([version.physical]))).message).to.include('no version')
  })

  it('waits for claims and ranges that are under way', async () => {
    const { version } = await another('claimed')
    await core.sql(
      `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change, token, due_at)
       VALUES ($1, '1', 1, gen_random_uuid(), clock_timestamp() + interval '1 hour')`,
      [version.id],
    )
    await markDropped(core.store, [version.id])
    await ageMark(version)
    expect(await finish(), 'a batch may be under way').to.deep.equal([])
    await core.sql(
      `INSERT INTO elastic_umzug.populate_ranges (version_id, number, token, expires_at)
       VALUES ($1, 1, gen_random_uuid(), clock_timestamp() + interval '1 hour')`,
      [version.id],
    )
    await core.sql(`UPDATE elastic_umzug.pending SET due_at = clock_timestamp() WHERE version_id = $1`, [version.id])
    expect(await finish(), 'a page may be under way').to.deep.equal([])
    await core.sql(`UPDATE elastic_umzug.populate_ranges SET expires_at = clock_timestamp() WHERE version_id = $1`, [
      version.id,
    ])
    expect((await finish()).map((each) => each.id)).to.deep.equal([version.id])
    for (const table of ['pending', 'populate_ranges']) {
      expect(await core.sql(`SELECT FROM elastic_umzug.${table} WHERE version_id = $1`, [version.id])).to.deep.equal([])
    }
  })

  it('ends a populate of another machine with an error that says so, and leaves no index behind', async () => {
    const { definition, version } = await another('populated')
    const gate = createGate()
    const watched = { ...definition, source: watchSource(definition.source, (what) => what === 'page' && gate.pass()) }
    const filling = fillVersion(core.lifecycle({ definitions: [definition] }), version, watched)
    await gate.arrived
    await markDropped(core.store, [version.id])
    await core.sql(`UPDATE elastic_umzug.populate_ranges SET expires_at = clock_timestamp() WHERE version_id = $1`, [
      version.id,
    ])
    await ageMark(version)
    await finish()
    expect(await exists(version.physical)).to.equal(false)
    gate.open()
    expect(await rejection(filling)).to.include({ code: 'VERSION_NOT_READY' })
    await finish()
    expect(await core.client.indices.exists({ index: [version.physical, writeAlias(version)] })).to.equal(false)
    expect((await readVersion(core.store, version.id)).state).to.equal('dropped')
  })

  it('wins over an activation that lost its run lock, before, while and after the index is deleted', async () => {
    const before = await active()
    for (const when of ['before', 'while', 'after'] as const) {
      const definition = defineBooks(`activated ${when}`)
      const version = await readyVersion(core, definition)
      const gate = createGate()
      const isSwap = (path: string, body: unknown) =>
        path === '/_aliases' && JSON.stringify(body).includes('"must_exist":true')
      const deps = core.lifecycle({
        definitions: [definition],
        search: watchSearch(core.search, ({ path, body }) => isSwap(path, body) ? gate.pass() : undefined),
      })
      const activating = activateVersion(deps, version)
      await gate.arrived
      await markDropped(core.store, [version.id])
      await ageMark(version)
      const ended = rejection(activating)
      // Between the look at the alias and the deletion.
      const onDelete = watchSearch(core.search, async ({ method }) => {
        if (method !== 'DELETE') return
        gate.open()
        await ended
      })
      if (when === 'while') await removeDropped({ ...finishing(), search: onDelete })
      if (when === 'after') await finish()
      gate.open()
      const messages = { before: /dropped while it was activated/, while: /aliases .* missing/, after: /no such index/ }
      expect((await ended).message).to.match(messages[when])
      expect((await active()).id, when).to.equal(before.id)
      if (when === 'before') expect(await pointed()).to.deep.equal([version.physical])
      await finish()
      expect(await exists(version.physical)).to.equal(false)
      expect(await pointed(), when).to.deep.equal([before.physical])
    }
    expect(lines.join('\n')).to.include(`the alias ${alias} pointed at`)
  })

  it('is begun inside a migration without waiting, and ended by a worker', async () => {
    const { version } = await another('in a migration')
    const base = baseOf(core, { config: { leaseMs: 60_000 } })
    const [dropped] = await base.run('up', {}, (run) => indexCommands(base, run).drop([version.physical]))
    expect(dropped).to.include({ state: 'dropped', removedAt: null })
    expect(await exists(version.physical)).to.equal(true)
    await ageMark(version)
    const worker = plugin()
    const deleted = new Promise((resolve) => worker.on('version:index:deleted', resolve))
    await worker.start()
    expect(await deleted).to.deep.equal({ index: 'books', version: version.number })
    await worker.stop()
    expect(await exists(version.physical)).to.equal(false)
  })

  it('keepRetired: an activation drops what nobody goes back to, and does not wait for that', async () => {
    const deps = (keepRetired: number) => ({ ...core.lifecycle(), keepRetired })
    const { version: orphan } = await another('orphan')
    const { version: served } = await another('served')
    const { version: retired } = await another('retired')
    const { version: older } = await another('retired before')
    await core.sql(
      `UPDATE elastic_umzug.index_versions SET created_at = created_at - interval '1 hour',
         served_at = CASE WHEN id = $1 THEN clock_timestamp() END WHERE id = ANY ($2)`,
      [served.id, [orphan.id, served.id]],
    )
    await core.sql(
      `UPDATE elastic_umzug.index_versions SET state = 'retired', retired_at = clock_timestamp() - CASE WHEN id = $1 THEN interval '1 s' ELSE '0' END
       WHERE id = ANY ($2)`,
      [older.id, [older.id, retired.id]],
    )
    const definition = defineBooks('newest')
    await activateVersion(core.lifecycle({ definitions: [definition] }), await readyVersion(core, definition))
    const prepared = await another('prepared')
    const dropped = await dropSuperfluous(deps(2))
    expect(dropped.map(({ physical, reason }) => [physical, reason])).to.deep.equal([
      [orphan.physical, 'never finished'],
      [older.physical, 'retired'],
    ])
    expect(await exists(orphan.physical), 'deleted later').to.equal(true)
    expect((await versions()).map((each) => each.id)).to.include.members([served.id, retired.id, prepared.version.id])
  })

  it('takes the alias of the active version along by force, in the request that deletes the index', async () => {
    const { physical, number } = await active()
    await plugin().versions.drop([`books@${number}`], { force: true, onLine })
    expect(await exists(physical)).to.equal(false)
    expect(await pointed()).to.deep.equal([])
    expect((await versions()).filter((each) => each.state === 'active')).to.deep.equal([])
    expect(lines.at(-1)).to.match(/: deleted$/)
  })

  it('case 3: deletes foreign indexes by their exact names alone', async () => {
    const foreign = `${core.world.prefix}zz-foreign`
    await core.client.indices.create({ index: foreign, settings: { number_of_replicas: 0 } })
    const listed = await plugin().versions.listForeign()
    expect(listed.find((each) => each.name === foreign)).to.include({ documents: 0, prefix: null })
    expect(listed.filter((each) => each.name.startsWith('.'))).to.deep.equal([])
    const own = (await versions())[0]!.physical
    for (const name of ['.security', `${foreign}*`, '*', '_all', own, `${foreign},x`, 'nothing', alias]) {
      expect((await rejection(plugin().versions.dropForeign([name]))).message, name).to.match(/\n {2}next: ./)
    }
    await plugin().versions.dropForeign([foreign], { onLine })
    expect(await exists(foreign)).to.equal(false)
    expect(await exists(own)).to.equal(true)
  })
})
