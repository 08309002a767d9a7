import { expect } from 'chai'
import type { Documents, SearchClient, Source } from '../../src/ports.ts'
import { startWorker } from '../../src/queue/worker.ts'
import { defineIndex, type Definition } from '../../src/search/definition.ts'
import { activateVersion } from '../../src/search/lifecycle.ts'
import { definitionAlias, listVersions, type Version } from '../../src/search/versions.ts'
import { type Core, createCore, readyVersion, write } from '../support/core.ts'
import { pluginOf } from '../support/plugin.ts'
import { bookMappings, bookSource } from '../support/simple_source.ts'
import { waitFor } from '../support/world.ts'

/** The books, with the length of their title. */
function sizedSource(): Source {
  const plain = bookSource()
  const sized = (documents: Documents): Documents => ({
    ...documents,
    body: documents.body.replace(
      /^\{"title":.*$/gm,
      (line) => JSON.stringify({ ...JSON.parse(line), size: JSON.parse(line).title.length }),
    ),
  })
  return {
    ...plain,
    page: async (...args) => sized(await plain.page(...args)),
    byKeys: async (...args) => sized(await plain.byKeys(...args)),
  }
}

const sized = (changes: object = {}) => ({
  ...bookMappings,
  properties: { ...bookMappings.properties, size: { type: 'integer' } },
  ...changes,
})

/** Newer code: a new field, and a setting. */
function newer(name = 'books', mappings: Record<string, unknown> = sized()): Definition {
  return defineIndex({ name, mappings, settings: { refresh_interval: '7s' }, source: sizedSource() })
}

describe('a change in place', function () {
  this.timeout(120_000)
  let core: Core
  let old: Definition

  before(async () => {
    core = await createCore()
    old = defineIndex({ name: 'books', mappings: bookMappings, source: bookSource() })
    await write(core, [1, 2, 3, 4, 5, 6].map((id) => ({ id, title: `book ${id}` })))
    await activated(old)
  })
  after(() => core.drop())

  const activated = async (definition: Definition) => {
    const deps = core.lifecycle({ definitions: [definition] })
    const version = await readyVersion(core, definition)
    await activateVersion(deps, version)
    return version
  }
  const plugin = (definition: Definition, search: SearchClient = core.search) =>
    pluginOf(core, { config: { indexes: [definition] }, search })
  const versions = (name = 'books') =>
    listVersions(core.store, core.world.prefix).then((all) => all.filter((each) => each.index === name))
  const sizes = async ({ physical }: Version) => {
    await core.client.indices.refresh({ index: physical })
    const { hits } = await core.client.search<{ size?: number }>({ index: physical, size: 1_000 })
    return Object.fromEntries(hits.hits.map((each) => [each._id!, each._source!.size ?? null]))
  }
  const pointed = async (alias: string) => Object.keys(await core.client.indices.getAlias({ name: alias }))

  it('is offered by es:create, and told by --dry-run', async () => {
    const lines: string[] = []
    const onLine = (line: string) => void lines.push(line)
    await plugin(newer()).versions.create([], { inPlace: true, dryRun: true, onLine })
    expect(lines.at(-1)).to.match(/books-1: would be changed in place: size, settings: refresh_interval$/)
    const other = newer('others')
    await activated(defineIndex({ name: 'others', mappings: bookMappings, source: bookSource() }))
    await plugin(other).versions.create([], { onLine })
    expect(lines.join('\n')).to.include(
      'others-1: the change could be put in place: npx umzug es:create --in-place others',
    )
  })

  it('is refused where a new version is needed, and then nothing has changed', async () => {
    const wrong = newer('books', sized({ properties: { title: { type: 'keyword' }, author: { type: 'keyword' } } }))
    const error = await plugin(wrong).versions.create(['books'], { inPlace: true }).catch((error) => error)
    expect(error.code).to.equal('MAPPING_REFUSED')
    expect(error.message).to.include('a new version is needed for title')
    expect((await versions())[0]!.hash).to.equal(old.hash)
  })

  it('is served by old and new code, and what old code writes then is written again by new code', async () => {
    const oldWorker = startWorker(core.options({ definitions: [old] }))
    const [before] = await versions()
    const lines: string[] = []
    const [version] = await plugin(newer()).versions.create(['books'], {
      inPlace: true,
      onLine: (line) => void lines.push(line),
    })
    expect(lines.join('\n')).to.include('once new code runs: npx umzug es:update books@1')
    expect(version).to.include({ id: before!.id, hash: newer().hash, state: 'active' })
    expect(version!.olderHashes).to.deep.equal([old.hash])
    for (const each of [old, newer()]) {
      const alias = definitionAlias({ prefix: core.world.prefix, index: 'books', hash: each.hash })
      expect(await pointed(alias)).to.deep.equal([version!.physical])
    }
    const live = await core.client.indices.get({ index: version!.physical })
    expect(live[version!.physical]!.mappings!.properties).to.have.property('size')
    expect(live[version!.physical]!.settings!.index!.refresh_interval).to.equal('7s')

    await write(core, [{ id: 1, title: 'by old code' }])
    await waitFor(async () => (await core.sql('SELECT FROM elastic_umzug.outdated')).length === 1)
    expect((await sizes(version!))['1']).to.equal(null)
    // While old code works it may claim the key once more, and then it is kept once more.
    await oldWorker.stop()
    const newWorker = startWorker(core.options({ definitions: [newer()] }))
    await waitFor(async () => (await core.sql('SELECT FROM elastic_umzug.outdated')).length === 0)
    const oldAgain = startWorker(core.options({ definitions: [old] }))
    for (let id = 1; id <= 40; id++) await write(core, [{ id: id % 8, title: `both ${id}` }])
    await oldAgain.stop()
    await newWorker.stop()
    const last = startWorker(core.options({ definitions: [newer()] }))
    await waitFor(async () => {
      const left = await core.sql(
        `SELECT key FROM elastic_umzug.pending WHERE version_id = $1
         UNION ALL SELECT key FROM elastic_umzug.outdated WHERE version_id = $1
         UNION ALL SELECT table_name FROM elastic_umzug.changes`,
        [version!.id],
      )
      return left.length === 0
    })
    await last.stop()
    const rows = await core.sql<{ id: number; size: number }>('SELECT id, length(title) AS size FROM books')
    expect(await sizes(version!)).to.deep.equal(Object.fromEntries(rows.map((each) => [each.id, each.size])))
  })

  it('old code finds nothing to do, changes nothing back, and does not compare by its own definition', async () => {
    const { indexes } = await plugin(old).up()
    expect(indexes).to.deep.equal([{ index: 'books', version: 1, outcome: 'unchanged' }])
    expect(await versions()).to.have.length(1)
    expect((await versions())[0]!.hash).to.equal(newer().hash)
    const error = await plugin(old).versions.verify(['books']).catch((error) => error)
    expect(error.code).to.equal('DEFINITION_UNKNOWN')
    await plugin(newer()).versions.verify(['books'])
  })

  it('is done by the same command again', async () => {
    const lines: string[] = []
    await plugin(newer()).versions.create(['books'], { inPlace: true, onLine: (line) => void lines.push(line) })
    expect(lines.join('\n')).to.include('as the definition says')
  })

  it('documents that are there get the new field by es:update', async () => {
    const name = 'refreshed'
    const version = await activated(defineIndex({ name, mappings: bookMappings, source: bookSource() }))
    await plugin(newer(name)).versions.create([name], { inPlace: true })
    expect(Object.values(await sizes(version))).to.include(null)
    await plugin(newer(name)).versions.update([`${name}@1`])
    expect(Object.values(await sizes(version))).not.to.include(null)
  })

  it('killed after each of its steps, the same command again ends it', async () => {
    const name = 'killed'
    const version = await activated(defineIndex({ name, mappings: bookMappings, source: bookSource() }))
    for (const moment of ['_settings', '_mapping', '/_aliases']) {
      const dying: SearchClient = {
        ...core.search,
        async request(request) {
          const answer = await core.search.request<never>(request)
          if (request.method !== 'GET' && request.path.endsWith(moment)) throw new Error('killed')
          return answer
        },
      }
      const error = await plugin(newer(name), dying).versions.create([name], { inPlace: true }).catch((error) => error)
      expect(error.message, moment).to.equal('killed')
      expect((await versions(name))[0]!.olderHashes, moment).to.deep.equal([])
    }
    await plugin(newer(name)).versions.create([name], { inPlace: true })
    const [now] = await versions(name)
    expect(now).to.include({ id: version.id, hash: newer(name).hash })
    const live = (await core.client.indices.get({ index: version.physical }))[version.physical]!
    expect(live.settings!.index!.refresh_interval).to.equal('7s')
    expect(live.mappings!.properties).to.have.property('size')
    expect(await pointed(definitionAlias(now!))).to.deep.equal([version.physical])
  })
})
