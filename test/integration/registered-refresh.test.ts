import { expect } from 'chai'
import { monotonicClock } from '../../adapters/clock.ts'
import { refreshDependencies } from '../../src/search/dependencies.ts'
import { activateVersion, createVersion, fillVersion } from '../../src/search/lifecycle.ts'
import { announce, drawRevision } from '../../src/search/revisions.ts'
import { unregisterVersion } from '../../src/search/forget.ts'
import { registerVersion, type Version } from '../../src/search/versions.ts'
import {
  type Core,
  createCore,
  createGate,
  defineBooks,
  process,
  readyVersion,
  serve,
  titles,
  write,
} from '../support/core.ts'
import { rejection } from '../support/rejection.ts'
import { bookDependencies, bookSource } from '../support/simple_source.ts'
import { waitFor } from '../support/world.ts'

describe('what registered versions need', () => {
  let core: Core
  beforeEach(async () => {
    core = await createCore()
  })
  afterEach(() => core.drop())

  const register = (): Promise<Version> =>
    registerVersion(core.store, {
      prefix: core.world.prefix,
      name: 'books',
      hash: 'h',
      definition: { mappings: {}, settings: {}, revision: null },
      dependencies: bookDependencies,
      tag: null,
    })
  const revisionOf = async ({ id }: Version) =>
    (await core.sql<{ revision: string }>('SELECT revision FROM elastic_umzug.index_versions WHERE id = $1', [id]))[0]!
      .revision
  const announced = async () =>
    (await core.sql<{ n: string }>('SELECT last_value AS n FROM elastic_umzug.announced_versions'))[0]!.n

  describe('revisions', () => {
    it('become visible in their order', async () => {
      const gate = createGate()
      let first = ''
      const earlier = core.db.transaction(async (tx) => {
        first = await drawRevision(core.store, tx)
        await gate.pass()
      })
      await gate.arrived
      let isRegistered = false
      const later = register().finally(() => isRegistered = true)
      await new Promise((resolve) => setTimeout(resolve, 200))
      const wasRegistered = isRegistered
      gate.open()
      await earlier
      expect(wasRegistered).to.equal(false)
      expect(Number(await revisionOf(await later))).to.be.greaterThan(Number(first))
    })

    it('of a version that was unregistered never come again', async () => {
      const gone = await register()
      const revision = Number(await revisionOf(gone))
      await unregisterVersion(core.store, gone.id)
      expect(Number(await revisionOf(await register()))).to.be.greaterThan(revision)
    })

    it('are announced by their highest', async () => {
      const [first, second] = [await register(), await register()]
      await announce(core.store, second.id)
      await announce(core.store, first.id)
      expect(await announced()).to.equal(await revisionOf(second))
    })
  })

  it('waits for a write that waits for the lock of its table', async () => {
    await write(core, [{ id: 1, title: 'before' }])
    const [holder, old] = await Promise.all([core.db.connect(), core.db.connect()])
    try {
      await holder.query('BEGIN')
      await holder.query('LOCK TABLE books IN SHARE MODE')
      // An old process, to which the titles of books are nothing: it records no change.
      const late = old.query(`UPDATE books SET title = 'after'`)
      await waitFor(async () => (await core.sql('SELECT FROM pg_locks WHERE NOT granted')).length > 0)
      const deps = core.lifecycle()
      const filled = createVersion(deps, core.books).then((created) => fillVersion(deps, created, core.books))
      filled.catch(() => {})
      await waitFor(() => core.lines.some((each) => /waiting for 1 open|populating/.test(each)))
      const isPopulated = core.lines.some((each) => each.includes('populating'))
      await holder.query('COMMIT')
      await late
      expect(isPopulated).to.equal(false)
      expect(await titles(core, (await filled).physical)).to.eql({ 1: 'after' })
    } finally {
      await Promise.all([holder.close(), old.close()])
    }
  })

  describe('of a version that is there already', () => {
    let version: Version
    beforeEach(async () => {
      await write(core, [{ id: 1, title: 'before' }])
      version = await readyVersion(core, defineBooks(undefined, bookSource(bookDependencies.slice(0, 1))))
    })

    const dying = { ...monotonicClock, sleep: () => Promise.reject(new Error('killed')) }
    const refresh = (changes: Parameters<Core['lifecycle']>[0] = {}) =>
      refreshDependencies(core.lifecycle(changes), version, core.books)
    const changes = () => core.sql('SELECT FROM elastic_umzug.changes')

    it('is brought up to date by the next run when one is killed while it waits for writers', async () => {
      expect((await rejection(refresh({ clock: dying }))).message).to.equal('killed')
      await process(core, await serve(core, version))
      expect(await rejection(activateVersion(core.lifecycle(), version))).to.include({ code: 'VERSION_BEHIND' })
      await core.sql(`UPDATE books SET title = 'unseen'`)
      expect(await refresh()).to.equal(true)
      await process(core, await serve(core, version))
      expect(await titles(core, version.physical)).to.eql({ 1: 'unseen' })
      expect(await refresh()).to.equal(false)
      await activateVersion(core.lifecycle(), version)
    })

    it('is brought up to date by the next run when one is stopped while it waits for writers', async () => {
      const stop = new AbortController()
      const clock = { ...monotonicClock, sleep: () => Promise.resolve(stop.abort()) }
      expect(await rejection(refresh({ clock, signal: stop.signal }))).to.include({ code: 'STOPPED' })
      expect(await changes()).to.have.length(1)
      expect(await refresh()).to.equal(true)
      expect(await changes()).to.have.length(2)
    })

    it('is no reason for another version not to wait, until that is done', async () => {
      await rejection(refresh({ clock: dying }))
      const second = await readyVersion(core, defineBooks('second'))
      expect(await announced()).to.equal(await revisionOf(second))
      await refresh()
      await readyVersion(core, defineBooks('third'))
      expect(await announced()).to.equal(await revisionOf(second))
    })
  })

  it('is stored without ado before a version has read its first row', async () => {
    const narrow = defineBooks(undefined, bookSource(bookDependencies.slice(0, 1)))
    const created = await createVersion(core.lifecycle(), narrow)
    expect(await refreshDependencies(core.lifecycle(), created, core.books)).to.equal(false)
    const [row] = await core.sql('SELECT dependencies FROM elastic_umzug.index_versions')
    expect(row).to.eql({ dependencies: bookDependencies })
    expect(await core.sql('SELECT FROM elastic_umzug.changes')).to.eql([])
  })
})
