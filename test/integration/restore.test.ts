import { expect } from 'chai'
import pg from 'pg'
import process from 'node:process'
import type { ElasticUmzug } from '../../src/plugin.ts'
import { activateVersion } from '../../src/search/lifecycle.ts'
import { lookAtMarks } from '../../src/search/marker.ts'
import { markerName, readMark } from '../../src/search/marker-search.ts'
import { listSuspicions } from '../../src/search/suspicions.ts'
import type { Version } from '../../src/search/versions.ts'
import { type Core, createCore, readyVersion, remove, rowTitles, titles, write } from '../support/core.ts'
import { pluginOf } from '../support/plugin.ts'
import { waitFor } from '../support/wait.ts'

describe('after a restore', () => {
  let core: Core
  let plugin: ElasticUmzug
  let version: Version
  let database: string
  before(async () => {
    core = await createCore()
    database = new URL(core.world.databaseUrl).pathname.slice(1)
    await write(core, Array.from({ length: 200 }, (_, n) => ({ id: n + 1, title: `book ${n + 1}` })))
    version = await readyVersion(core)
    await activateVersion(core.lifecycle(), version)
    plugin = pluginOf(core)
    await plugin.start()
    await looked()
  })
  after(async () => {
    await plugin?.stop()
    await core?.drop()
    await onServer(`DROP DATABASE IF EXISTS "${database}_kept" WITH (FORCE)`)
  })

  // The worker has looked when both sides have their marker.
  const looked = async () =>
    await waitFor(() => readMark(core.search, markerName(core.world.prefix, 'elastic_umzug', database)))
  const onServer = async (...statements: string[]) => {
    const url = new URL(process.env.DATABASE_URL!)
    const client = new pg.Client({ connectionString: url.href })
    await client.connect()
    for (const each of statements) await client.query(each)
    await client.end()
  }
  // A copy is made of files: nobody may be connected to the one it is made from.
  const disconnect = (name: string) =>
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`
  const copy = async (from: string, to: string) => {
    await onServer(`ALTER DATABASE "${from}" ALLOW_CONNECTIONS false`, disconnect(from))
    await waitFor(() => onServer(`CREATE DATABASE "${to}" TEMPLATE "${from}"`).then(() => true))
    await onServer(`ALTER DATABASE "${from}" ALLOW_CONNECTIONS true`)
  }
  const equal = async () => expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
  const reached = async <T>(work: () => Promise<T>) => await waitFor(() => work().then(() => true, () => false))
  const kinds = async () => (await listSuspicions(core.store)).map((each) => each.kind)

  it('Restore: of the database to an older moment, under running workers: suspected, then equal both ways', async () => {
    await write(core, [{ id: 1, title: 'kept' }])
    await plugin.settled()
    await copy(database, `${database}_kept`)
    // What the restored database will know nothing of: a change, a row, and a delete.
    await reached(() => write(core, [{ id: 2, title: 'lost change' }, { id: 201, title: 'lost row' }]))
    await remove(core, [3])
    await plugin.settled()
    await lookAtMarks({ store: core.store, search: core.search, prefix: core.world.prefix }, 0)
    await equal()

    await onServer(`DROP DATABASE "${database}" WITH (FORCE)`)
    await copy(`${database}_kept`, database)
    await reached(() => core.sql('SELECT'))
    // The worker goes on: rows written now reach the index, the others stay as they were in the future.
    await reached(() => write(core, [{ id: 4, title: 'after the restore' }]))
    await reached(() => plugin.settled())
    const differing = await titles(core, version.physical)
    expect(differing).to.include({ 2: 'lost change', 4: 'after the restore', 201: 'lost row' }).and.not.have.property(
      '3',
    )

    const another = pluginOf(core)
    await another.start()
    await waitFor(async () => (await kinds()).length > 0)
    expect(await kinds()).to.include.members(['database-behind', 'database-moved'])
    const [result] = await another.versions.verify([], { repair: true })
    expect(result!.repaired).to.eql({ missing: 1, different: 1, extra: 1, unmakable: 0 })
    await another.stop()
    await equal()
    expect(await kinds()).to.eql([])
  })

  it('Restore: of the database, with a clock that was set back: numbers go on above those of the lost future', async () => {
    const { _version } = await core.client.get({ index: version.physical, id: '1' })
    const future = _version! + 3_600_000_000_000
    const lost = [{ id: '5', title: 'lost change' }, { id: '202', title: 'lost row' }]
    for (const { id, title } of lost) {
      const document = { title, author: null }
      await core.client.index({ index: version.physical, id, document, version: future, version_type: 'external' })
    }
    await core.client.delete({ index: version.physical, id: '6', version: future, version_type: 'external' })
    // Number 6 leaves no document to see its version by: the marker tells how far the lost database had come.
    const name = markerName(core.world.prefix, 'elastic_umzug', database)
    await core.client.update({ index: name, id: 'marker', doc: { highest: String(future) } })
    const [result] = await plugin.versions.verify([], { repair: true })
    expect(result).to.include({ lifted: true })
    await equal()
  })

  it('Elasticsearch restored: older documents, deleted ones that are back and new ones that are gone are mended', async () => {
    const { physical: index } = version
    await write(core, [{ id: 7, title: 'newer' }, { id: 203, title: 'new' }])
    await remove(core, [8])
    await plugin.settled()
    for (const [id, title] of [['7', 'book 7'], ['8', 'book 8']] as const) {
      await core.client.delete({ index, id }, { ignore: [404] })
      await core.client.index({ index, id, document: { title, author: null } })
    }
    await core.client.delete({ index, id: '203' })
    await core.client.indices.refresh({ index })
    const [result] = await plugin.versions.verify([], { repair: true })
    expect(result!.repaired).to.eql({ missing: 1, different: 1, extra: 1, unmakable: 0 })
    await equal()
  })
})
