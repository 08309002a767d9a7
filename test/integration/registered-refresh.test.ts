import { expect } from 'chai'
import { announce, drawRevision } from '../../src/search/revisions.ts'
import { registerVersion, unregisterVersion, type Version } from '../../src/search/versions.ts'
import { type Core, createCore, createGate } from '../support/core.ts'
import { bookDependencies } from '../support/simple_source.ts'

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
})
