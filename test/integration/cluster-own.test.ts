import { expect } from 'chai'
import { defineIndex, type Definition } from '../../src/search/definition.ts'
import { createVersion } from '../../src/search/lifecycle.ts'
import { checkVersion } from '../../src/search/repair.ts'
import type { Version } from '../../src/search/versions.ts'
import {
  type Core,
  createCore,
  pendingRows,
  process,
  readyVersion,
  remove,
  serve,
  titles,
  write,
} from '../support/core.ts'
import { pluginOf } from '../support/plugin.ts'
import { rejection } from '../support/rejection.ts'
import { bookMappings, bookSource } from '../support/simple_source.ts'

describe("what is the cluster's own", () => {
  let core: Core
  let pipeline: string

  before(async () => {
    core = await createCore()
    pipeline = `${core.world.prefix}pipe`
    await core.client.ingest.putPipeline({
      id: pipeline,
      processors: [
        { drop: { if: `ctx.title == 'dropped'` } },
        { fail: { if: `ctx.title == 'failed'`, message: 'as it was told to' } },
        { uppercase: { field: 'title' } },
      ],
    })
  })
  after(async () => {
    await core.world.drop()
    await core.client.ingest.deletePipeline({ id: pipeline }, { ignore: [404] }).catch(() => {})
  })

  const piped = (name: string, setting: object = { default_pipeline: pipeline }): Definition =>
    defineIndex({ name, mappings: bookMappings, settings: { index: setting }, source: bookSource() })

  const versionNames = async () =>
    (await core.sql<{ physical: string }>('SELECT physical FROM elastic_umzug.index_versions')).map((each) =>
      each.physical
    )

  describe('an ingest pipeline', () => {
    let definition: Definition
    let version: Version

    before(async () => {
      await core.sql('DELETE FROM books')
      definition = piped('piped')
      await write(core, [{ id: 1, title: 'one' }, { id: 2, title: 'two' }])
      version = await readyVersion(core, definition)
    })

    it('is gone through by what populate and what workers write, and keys alone are compared', async () => {
      const served = await serve(core, version, definition)
      await write(core, [{ id: 2, title: 'changed' }, { id: 3, title: 'three' }])
      await remove(core, [1])
      await process(core, served)
      expect(await titles(core, version.physical)).to.deep.equal({ 2: 'CHANGED', 3: 'THREE' })
      const plugin = pluginOf(core, { config: { indexes: [definition] } })
      const [found] = await plugin.versions.verify([`piped@${version.number}`])
      expect(found!.remaining).to.deep.equal({ missing: 0, different: 0, extra: 0, unmakable: 0 })
    })

    it('that drops or fails a document has it tried again, then aborted with the reason; the others go on', async () => {
      const served = await serve(core, version, definition)
      const aborted: unknown[] = []
      const stop = core.emitter.on('queue:document:aborted', ({ key, reason }) => aborted.push([key, reason]))
      await write(core, [{ id: 2, title: 'dropped' }, { id: 3, title: 'failed' }, { id: 4, title: 'four' }])
      for (let tries = 0; tries < 3; tries++) {
        await process(core, served)
        await core.sql(`UPDATE elastic_umzug.pending SET due_at = clock_timestamp() WHERE due_at < 'infinity'`)
      }
      stop()
      // What they were stays, for nobody knows what they should be.
      expect(await titles(core, version.physical)).to.deep.equal({ 2: 'CHANGED', 3: 'THREE', 4: 'FOUR' })
      expect(aborted.sort()).to.deep.equal([
        ['2', 'the ingest pipeline of the index dropped the document'],
        ['3', 'fail_processor_exception: as it was told to'],
      ])
      const left = (await pendingRows(core)).filter((each) => each.version === version.id)
      expect(left.map(({ key, aborted }) => [key, aborted])).to.deep.equal([['2', true], ['3', true]])
    })

    it('that drops or fails a document while a version is populated ends that with its name', async () => {
      for (const [id, reason] of [[2, /dropped the document/], [3, /as it was told to/]] as const) {
        await core.sql('DELETE FROM books WHERE id NOT IN (4, $1)', [id])
        const other = piped('other', { final_pipeline: pipeline })
        const error = await rejection(readyVersion(core, other))
        expect(error.code).to.equal('DOCUMENT_REFUSED')
        expect(error.message).to.match(reason).and.to.contain(`document ${id} of`)
        await write(core, [{ id: 3, title: 'failed' }])
      }
    })

    it('that is not there is told before an index is made', async () => {
      const before = await versionNames()
      for (const setting of [{ default_pipeline: 'no-such-pipe' }, { final_pipeline: 'no-such-pipe' }]) {
        const missing = piped('without', setting)
        const error = await rejection(createVersion(core.lifecycle({ definitions: [missing] }), missing))
        expect(error.code).to.equal('MAPPING_REFUSED')
        expect(error.message).to.contain('"no-such-pipe", which the cluster does not have')
        expect(error.next).to.contain('PUT _ingest/pipeline/no-such-pipe')
      }
      expect(await versionNames()).to.deep.equal(before)
      const none = piped('none', { default_pipeline: '_none' })
      await createVersion(core.lifecycle({ definitions: [none] }), none)
    })
  })

  it("an analyzer is the definition's, with synonyms; a file of them that is not there is refused by its name", async () => {
    const analysis = (filter: object) => ({
      filter: { alike: { type: 'synonym', ...filter } },
      analyzer: { own: { tokenizer: 'standard', filter: ['lowercase', 'alike'] } },
    })
    const of = (filter: object) =>
      defineIndex({
        name: 'alike',
        mappings: {
          ...bookMappings,
          properties: { ...bookMappings.properties, title: { type: 'text', analyzer: 'own' } },
        },
        settings: { analysis: analysis(filter) },
        source: bookSource(),
      })
    await core.sql('DELETE FROM books')
    await write(core, [{ id: 1, title: 'The ocean' }])
    const { physical } = await readyVersion(core, of({ synonyms: ['sea, ocean'] }))
    const { hits } = await core.client.search({ index: physical, query: { match: { title: 'SEA' } } })
    expect(hits.hits.map((each) => each._id)).to.deep.equal(['1'])
    const before = await versionNames()
    const wrong = of({ synonyms_path: 'analysis/no-such-file.txt' })
    const error = await rejection(createVersion(core.lifecycle({ definitions: [wrong] }), wrong))
    expect(error.code).to.equal('MAPPING_REFUSED')
    expect(error.message).to.contain('no-such-file.txt')
    expect(await versionNames()).to.deep.equal(before)
  })

  it('index templates that match our names stay as they are; what they say and the definition does not, holds', async () => {
    const name = `elastic-umzug-${core.world.prefix}of-the-user`
    await core.client.indices.putIndexTemplate({
      name,
      index_patterns: [`${core.world.prefix}templated*`],
      priority: 500,
      template: {
        settings: { number_of_shards: 2, 'index.max_result_window': 20_000, 'index.refresh_interval': '7s' },
        mappings: { properties: { author: { type: 'text' }, added: { type: 'keyword' } } },
        aliases: { [`${core.world.prefix}of-theirs`]: {} },
      },
    })
    const templateNow = async () => (await core.client.indices.getIndexTemplate({ name })).index_templates
    const before = await templateNow()
    const templated = defineIndex({
      name: 'templated',
      mappings: bookMappings,
      settings: { number_of_shards: 1, 'routing.allocation.include._tier_preference': 'data_hot,data_content' },
      source: bookSource(),
    })
    const version = await readyVersion(core, templated)
    expect(await templateNow()).to.deep.equal(before)
    const index = version.physical
    const settings = (await core.client.indices.getSettings({ index, flat_settings: true }))[index]!.settings as Record<
      string,
      unknown
    >
    expect(settings).to.include({
      'index.number_of_shards': '1',
      'index.max_result_window': '20000',
      'index.refresh_interval': '7s',
      'index.routing.allocation.include._tier_preference': 'data_hot,data_content',
    })
    const { properties } = (await core.client.indices.getMapping({ index }))[index]!.mappings
    expect(properties).to.deep.equal({
      title: { type: 'text' },
      author: { type: 'keyword' },
      added: { type: 'keyword' },
    })
    await write(core, [{ id: 9, title: 'nine' }])
    await process(core, await serve(core, version, templated))
    const checked = await checkVersion(
      {
        ...core.lifecycle(),
        drain: () => Promise.resolve(),
        enqueue: () => Promise.resolve(),
      },
      version,
      templated.source,
      { contents: true, repair: false, onPage: () => Promise.resolve() },
    )
    expect(checked.first).to.deep.equal([])
  })
})
