import { expect } from 'chai'
import { monotonicClock } from '../../adapters/clock.ts'
import type { Source } from '../../src/ports.ts'
import { drain } from '../../src/queue/drain.ts'
import { removeDropped } from '../../src/search/drop.ts'
import { listVersions } from '../../src/search/versions.ts'
import { defineIndex } from '../../src/search/definition.ts'
import { bookMappings, bookSource } from '../support/simple_source.ts'
import { type Core, createCore, defineBooks, rowTitles, titles, write } from '../support/core.ts'
import { pluginOf } from '../support/plugin.ts'
import { rejection } from '../support/rejection.ts'

describe('the life of versions', () => {
  let core: Core
  let lines: string[] = []
  const onLine = (line: string) => void lines.push(line)
  const quick = { leaseMs: 500 }

  before(async () => {
    core = await createCore()
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
  })
  beforeEach(() => void (lines = []))
  after(() => core.drop())

  const plugin = (config: object = {}) => pluginOf(core, { config: { ...quick, ...config } })
  const states = async (prefix = core.world.prefix) =>
    (await listVersions(core.store, prefix)).map((each) => `${each.index}-${each.number} ${each.state}`)
  const exists = (index: string) => core.client.indices.exists({ index })
  const physical = (number: number) => `${core.world.prefix}books-${number}`

  it('case 1: unchanged makes nothing, --force and a change make version n+1, an invalid mapping leaves none', async () => {
    const create = async (config: object, options: object = {}) => {
      const [version] = await plugin(config).versions.create([], { ...options, onLine })
      return version!.number
    }
    expect(await create({})).to.equal(1)
    expect(await create({})).to.equal(1)
    expect(lines.join('\n')).to.include('the definition did not change')
    expect(await create({}, { force: true })).to.equal(2)
    expect(await create({ indexes: [defineBooks('changed')] })).to.equal(3)
    const wrong = defineIndex({
      name: 'books',
      source: bookSource(),
      mappings: { properties: { title: { type: 'txt' } } },
    })
    const error = await rejection(plugin({ indexes: [wrong] }).versions.create())
    expect(error).to.include({ code: 'MAPPING_REFUSED' })
    expect(await states()).to.deep.equal(['books-1 created', 'books-2 created', 'books-3 created'])
    expect(await exists(physical(4))).to.equal(false)
    expect(await create({ indexes: [defineBooks('corrected')] })).to.be.greaterThan(3)
  })

  it('case 13: list shows every version, what is lost, what is of other code, and what is not created', async () => {
    await plugin().versions.update(['books@2'])
    await plugin().versions.activate(['books@2'])
    await core.client.indices.delete({ index: physical(1) })
    const films = defineBooks(undefined, bookSource(), 'e-films-2')
    const listing = plugin({ indexes: [core.books, films] }).versions
    const [lost, active, other] = await listing.list()
    expect(lost).to.include({ physical: physical(1), lost: true, documents: null, sizeBytes: null, known: true })
    expect(active).to.include({ state: 'active', lost: false, documents: 2, rowsExpected: 2, backlog: 0 })
    expect(active!.sizeBytes).to.be.greaterThan(0)
    expect(other).to.include({ number: 3, state: 'created', documents: 0, known: false })
    expect(await listing.listUncreated()).to.deep.equal([{ index: 'e-films-2', hash: films.hash }])
    expect((await listing.list(['books@3', 'e-films-2'])).map((each) => each.number)).to.deep.equal([3])
    const newest = await listing.list([], { latest: true })
    expect(newest.map((each) => each.number)).to.deep.equal([(await listing.list()).at(-1)!.number])
    expect(await rejection(listing.list(['nothing']))).to.include({ code: 'VERSION_UNKNOWN' })
  })

  it('case 14: restore makes every lost index from its stored definition, and warns where a live one differs', async () => {
    await core.client.indices.delete({ index: [physical(2), physical(3)] })
    const [last] = (await listVersions(core.store, core.world.prefix)).slice(-1)
    await core.client.indices.putMapping({ index: last!.physical, properties: { extra: { type: 'keyword' } } })
    const restored = await plugin().versions.create([], { restore: true, onLine })
    expect(restored.map((each) => `${each.number} ${each.state}`)).to.deep.equal([
      '1 created',
      '2 created',
      '3 created',
    ])
    const told = lines.join('\n')
    expect(told).to.match(/books-2: made anew, empty \(it was active\); fill it: .*books@2, then .*es:activate books@2/)
    expect(told).to.match(/books-3: made anew, empty .*; with the code that it was made from, which this is not/)
    expect(told).to.match(new RegExp(`books-${last!.number}: is there, but not as it was defined: extra`))
    for (const each of restored) {
      const { [each.physical]: live } = await core.client.indices.getMapping({ index: each.physical })
      expect(live!.mappings.properties).to.deep.equal(bookMappings.properties)
    }
    await plugin().up({ onLine })
    expect(await titles(core, `${core.world.prefix}books`)).to.deep.equal(await rowTitles(core))
    expect((await plugin().status()).suspicions).to.deep.equal([])
    expect(await plugin().versions.create([], { restore: true, onLine })).to.deep.equal([])
  })

  it('case 2: prefixes of one database and cluster never touch each other', async () => {
    const other = `${core.world.prefix}b-`
    const theirs = plugin({ prefix: other })
    await theirs.up()
    await write(core, [{ id: 3, title: 'c' }])
    const before = await states()
    await theirs.versions.create([], { force: true })
    await theirs.versions.update(['books@2'])
    await theirs.versions.activate(['books@2'])
    await theirs.versions.drop(['books'], { older: true })
    await theirs.versions.reset()
    expect(await states(other)).to.deep.equal(['books-3 active'])
    expect(await states()).to.deep.equal(before)
    for (const each of await plugin().versions.list()) expect(each.lost, each.physical).to.equal(false)
    // Only where it is named: and then nothing of one's own.
    expect((await plugin().versions.list([], { prefix: other })).map((each) => each.physical)).to.deep.equal([
      `${other}books-3`,
    ])
    await plugin().versions.drop([], { all: true, force: true, prefix: other })
    expect(await states(other)).to.deep.equal([])
    expect(await exists(`${other}books-3`)).to.equal(false)
    expect(await states()).to.deep.equal(before)
  })

  it('reset drops every version and builds new ones, the readers never see less, and the record stays', async () => {
    const alias = `${core.world.prefix}books`
    const numbers = (await listVersions(core.store, core.world.prefix)).map((each) => each.number)
    await plugin().versions.reset([], { dryRun: true, onLine })
    expect(lines).to.have.length(numbers.length + 1)
    let least = Infinity
    const reading = setInterval(async () => {
      const found = await core.client.count({ index: alias }).catch(() => ({ count: 0 }))
      least = Math.min(least, found.count)
    }, 20)
    await plugin().versions.reset([], { onLine }).finally(() => clearInterval(reading))
    expect(await states()).to.deep.equal([`books-${Math.max(...numbers) + 1} active`])
    expect(least).to.be.greaterThan(1)
    expect(await titles(core, alias)).to.deep.equal(await rowTitles(core))
    for (const each of numbers) expect(await exists(physical(each))).to.equal(false)
    expect(await plugin().versions.list([], { dropped: true })).to.have.length(numbers.length)
    const [action] = await plugin().log({ command: 'es:reset' })
    expect(action).to.include({ state: 'complete' })
    expect((await plugin().log()).map((each) => each.action)).to.include.members(['es:create', 'up', 'es:activate'])
    expect(await rejection(plugin().versions.reset(['nothing']))).to.include({ code: 'DEFINITION_UNKNOWN' })
  })

  it('reset: however long the new version is filled, readers have the old one, with what is written meanwhile', async () => {
    const alias = `${core.world.prefix}books`
    const [reads] = await listVersions(core.store, core.world.prefix)
    const source = bookSource()
    const seen: object[] = []
    const slow: Source = {
      ...source,
      async page(...args) {
        await monotonicClock.sleep(2 * quick.leaseMs)
        // As every worker does.
        await removeDropped({ ...core.options(quick), onLine() {} })
        await drain(core.options(), { versionIds: [reads!.id], work: true, timeoutMs: 5_000 })
        await core.client.indices.refresh({ index: alias }, { ignore: [404] })
        seen.push(await titles(core, alias).catch(() => ({})))
        return await source.page(...args)
      },
    }
    await write(core, [{ id: 1, title: 'meanwhile' }])
    await plugin({ indexes: [defineBooks(undefined, slow)], leaseMs: 5_000 }).versions.reset(['books'])
    expect(seen).not.to.be.empty
    for (const each of seen) expect(each).to.deep.equal(await rowTitles(core))
    expect(await states()).to.have.length(1)
  })
})
