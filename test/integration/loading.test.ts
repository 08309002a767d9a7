import { expect } from 'chai'
import { activateVersion } from '../../src/search/activate.ts'
import { defineIndex, type Definition } from '../../src/search/definition.ts'
import { converge, createVersion, fillVersion, type LifecycleDeps } from '../../src/search/lifecycle.ts'
import { reserveOf } from '../../src/search/room.ts'
import type { Version } from '../../src/search/versions.ts'
import { type Core, createCore, titles, watchSearch, watchSource } from '../support/core.ts'
import { rejection } from '../support/rejection.ts'
import { bookMappings, bookSource } from '../support/simple_source.ts'

describe('loading a version', function () {
  this.timeout(60_000)
  let core: Core
  let counter = 0

  before(async () => core = await createCore())
  after(() => core?.drop())
  afterEach(async () => {
    core.lines.length = 0
    await core.sql(`TRUNCATE elastic_umzug.index_versions, elastic_umzug.populate_ranges, books, authors`)
  })

  const define = (settings: Record<string, unknown> = {}, source = bookSource()) =>
    defineIndex({ name: `loaded${++counter}`, mappings: bookMappings, settings, source })
  const rows = (count: number) =>
    core.sql('INSERT INTO books SELECT n, $2 || n FROM generate_series(1, $1::int) n', [count, 't'])
  const deps = (definition: Definition, changes: Partial<LifecycleDeps> = {}): LifecycleDeps => ({
    ...core.lifecycle({ definitions: [definition] }),
    ...changes,
  })

  async function fill(definition: Definition, changes: Partial<LifecycleDeps> = {}): Promise<Version> {
    const given = deps(definition, changes)
    return await fillVersion(given, await createVersion(given, definition), definition)
  }

  const names = ['refresh_interval', 'number_of_replicas', 'translog.durability', 'auto_expand_replicas']

  async function settings(physical: string): Promise<Record<string, unknown>> {
    const found = await core.client.indices.getSettings({ index: physical, flat_settings: true })
    const all = found[physical]!.settings as Record<string, unknown>
    return Object.fromEntries(names.flatMap((each) => `index.${each}` in all ? [[each, all[`index.${each}`]]] : []))
  }

  const loading = {
    refresh_interval: '-1',
    number_of_replicas: '0',
    'translog.durability': 'async',
    auto_expand_replicas: 'false',
  }
  const physicalOf = (definition: Definition) => `${core.world.prefix}${definition.name}-1`

  it('ends with the settings of the definition, and has others meanwhile', async () => {
    await rows(3)
    const wanted = { index: { refresh_interval: '7s', translog: { durability: 'async' } }, number_of_replicas: 0 }
    let meanwhile: unknown
    const definition: Definition = define(
      wanted,
      watchSource(bookSource(), async (what) => {
        if (what === 'page') meanwhile ??= await settings(physicalOf(definition))
      }),
    )
    const { physical } = await fill(definition)
    expect(meanwhile).to.eql(loading)
    expect(await settings(physical)).to.include({
      refresh_interval: '7s',
      number_of_replicas: '0',
      'translog.durability': 'async',
    })
  })

  it('ends with what the cluster has templates for, where the definition is silent', async () => {
    await rows(3)
    const definition = define()
    const template = `${core.world.prefix}template`
    await core.client.indices.putIndexTemplate({
      name: template,
      index_patterns: [`${core.world.prefix}${definition.name}-*`],
      priority: 7,
      template: { settings: { refresh_interval: '9s', number_of_replicas: 0 } },
    })
    try {
      const { physical } = await fill(definition)
      expect(await settings(physical)).to.eql({ refresh_interval: '9s', number_of_replicas: '0' })
    } finally {
      await core.client.indices.deleteIndexTemplate({ name: template })
    }
  })

  it('has the wanted settings after a failure, those for loading when it goes on, and the wanted ones again', async () => {
    await rows(3)
    await core.sql(`INSERT INTO books VALUES (4, 'refused')`)
    const seen: unknown[] = []
    const source = watchSource(bookSource(), async (what) => {
      if (what === 'page') seen.push((await settings(physicalOf(definition)))['translog.durability'])
    })
    const definition: Definition = define({ number_of_replicas: 0 }, source)
    expect(await rejection(fill(definition))).to.include({ code: 'DOCUMENT_REFUSED' })
    expect(await settings(physicalOf(definition))).to.eql({ number_of_replicas: '0' })
    await core.sql(`UPDATE books SET title = 'mended' WHERE id = 4`)
    const version = await fill(definition)
    expect(new Set(seen.map(String))).to.eql(new Set(['async']))
    expect(await settings(version.physical)).to.eql({ number_of_replicas: '0' })
  })

  it('gives the wanted settings to an active version that a killed run left with others, and to one that is activated', async () => {
    await rows(3)
    const definition = define({ number_of_replicas: 0 })
    const version = await fill(definition)
    const leave = () =>
      core.client.indices.putSettings({
        index: version.physical,
        settings: { translog: { durability: 'async' }, refresh_interval: '-1' },
      })
    await leave()
    await activateVersion(deps(definition), version)
    expect(await settings(version.physical)).to.eql({ number_of_replicas: '0' })
    await leave()
    await converge(deps(definition), true)
    expect(await settings(version.physical)).to.eql({ number_of_replicas: '0' })
  })

  it('case 7: writes every document although the cluster is too busy at first', async () => {
    await rows(900)
    let refused = 0
    const search = watchSearch(core.search, ({ path }) => {
      if (!path.endsWith('/_bulk') || refused >= 2) return
      refused++
      return { status: 429, body: { error: { type: 'es_rejected_execution_exception', reason: 'rejected' } } }
    })
    const version = await fill(define(), { search })
    expect(refused).to.equal(2)
    expect(Object.keys(await titles(core, version.physical))).to.have.length(900)
  })

  it('keeps to a rate, and to the rows of a page', async () => {
    await rows(600)
    const pages: number[] = []
    const off = core.emitter.on('populate:page:complete', ({ documents }) => void pages.push(documents))
    const started = Date.now()
    await fill(define(), { load: { batchSize: 100, rate: 300 } })
    off()
    expect(Math.max(...pages)).to.equal(100)
    expect(Date.now() - started).to.be.greaterThan(1_600)
  })

  it('refuses before it begins where the disks lack the room, and does it all the same by force', async () => {
    await rows(3)
    const definition = define()
    const disk = { threshold_enabled: 'true', watermark: { high: '900tb' } }
    const search = watchSearch(core.search, ({ path }) =>
      path !== '/_cluster/settings' ? undefined : {
        status: 200,
        body: { transient: { cluster: { routing: { allocation: { disk } } } } },
      })
    const error = await rejection(fill(definition, { search }))
    expect(error).to.include({ code: 'SEARCH_DISK' })
    expect(error.message).to.match(/will take about 1 MB with its copies; .* 0 MB are free/)
    expect(await fill(definition, { search, force: true })).to.include({ state: 'ready' })
  })

  it('reads a watermark as a share that is used, or as bytes that stay free', () => {
    const gb = 2 ** 30
    expect(reserveOf({ 'watermark.high': '90%' }, 100 * gb)).to.be.closeTo(10 * gb, 1)
    expect(reserveOf({ 'watermark.high': '0.9' }, 100 * gb)).to.be.closeTo(10 * gb, 1)
    expect(reserveOf({ 'watermark.high': '90%', 'watermark.high.max_headroom': '5gb' }, 100 * gb)).to.equal(5 * gb)
    expect(reserveOf({ 'watermark.high': '30gb' }, 100 * gb)).to.equal(30 * gb)
  })
})
