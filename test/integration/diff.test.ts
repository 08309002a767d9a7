import { expect } from 'chai'
import { fromElasticsearch } from '../../adapters/elasticsearch/client.ts'
import type { SearchClient } from '../../src/ports.ts'
import type { Snapshot } from '../../src/search/definition.ts'
import { type Change, diffForms, type Values, wayOf } from '../../src/search/diff.ts'
import { driftOf } from '../../src/search/drift.ts'
import { formOf } from '../../src/search/forms.ts'
import { createPhysical } from '../../src/search/physical.ts'
import { restoreSettings } from '../../src/search/settings.ts'
import type { Version } from '../../src/search/versions.ts'
import { createWorld, type World } from '../support/world.ts'

const analysis = {
  filter: { words: { type: 'synonym', synonyms: ['sea, ocean'] } },
  analyzer: { folded: { type: 'custom', tokenizer: 'standard', filter: ['lowercase', 'words'] } },
}

/** Everything at once, in forms that Elasticsearch writes otherwise. */
const rich: Snapshot = {
  mappings: {
    dynamic: 'strict',
    date_detection: true,
    _meta: { team: 'books' },
    _routing: { required: true },
    dynamic_templates: [{ codes: { match: '*_code', mapping: { type: 'keyword' } } }],
    runtime: { year: { type: 'long' } },
    properties: {
      title: {
        type: 'text',
        analyzer: 'folded',
        index: true,
        fields: { raw: { type: 'keyword', ignore_above: '256' } },
      },
      'author.name': { type: 'text' },
      note: { type: 'text', norms: true },
      price: { type: 'long', coerce: true },
      day: { type: 'date', format: 'yyyy', copy_to: 'note' },
      pages: { type: 'nested', properties: { number: { type: 'integer' } } },
      more: { type: 'object', dynamic: true, properties: { a: { type: 'keyword' } } },
      bag: { type: 'flattened' },
      hint: { type: 'completion' },
      kin: { type: 'join', relations: { book: ['chapter'] } },
      other: { type: 'alias', path: 'price' },
      spot: { type: 'geo_point' },
    },
  },
  settings: {
    analysis,
    number_of_shards: 1,
    'index.number_of_replicas': 0,
    index: { refresh_interval: '1s', mapping: { total_fields: { limit: 500 } } },
    default_pipeline: '_none',
    'routing.allocation.include._tier_preference': 'data_hot,data_content',
  },
  revision: null,
}

describe('the difference of two definitions', function () {
  this.timeout(60_000)
  let world: World
  let search: SearchClient
  let version: Version

  before(async () => {
    world = await createWorld()
    search = fromElasticsearch(world.client)
    version = versionOf('rich', rich)
    // The cluster's own template adds a setting, a field and a parameter.
    await world.client.indices.putIndexTemplate({
      name: `elastic-umzug-${world.prefix}templates`,
      index_patterns: [`${world.prefix}rich-*`],
      priority: 900,
      template: {
        settings: { 'index.max_result_window': 20_000 },
        mappings: { numeric_detection: true, properties: { tenant: { type: 'keyword' } } },
      },
    })
    await createPhysical(search, version, 30_000)
    await restoreSettings(search, version)
  })
  after(() => world.drop())

  const versionOf = (index: string, definition: Snapshot) =>
    ({
      index,
      prefix: world.prefix,
      physical: `${world.prefix}${index}-1`,
      definition,
      state: 'ready',
      hash: 'abcdefgh',
      createdAt: 'x',
    }) as unknown as Version

  const between = async (before: Snapshot, after: Snapshot) =>
    diffForms(await formOf(search, before, 'A'), await formOf(search, after, 'B'))
  const field = (patch: Values): Snapshot => ({
    ...rich,
    mappings: { ...rich.mappings, properties: { ...rich.mappings.properties as Values, ...patch } },
  })
  const put = async (what: '_mapping' | '_settings', body: Values) =>
    (await search.request({ method: 'PUT', path: `/${version.physical}/${what}`, body })).status

  it('is none in other words for the same', async () => {
    const same: Snapshot = {
      revision: null,
      mappings: {
        ...rich.mappings,
        date_detection: undefined,
        properties: {
          ...rich.mappings.properties as Values,
          'author.name': undefined,
          author: { type: 'object', properties: { name: { type: 'text', index: 'true' } } },
          day: { type: 'date', format: 'yyyy', copy_to: ['note'] },
        },
      },
      settings: {
        ...rich.settings,
        analysis: { ...analysis, filter: { words: { type: 'synonym', synonyms: 'sea, ocean' } } },
        number_of_shards: '1',
        index: { 'mapping.total_fields.limit': '500', refresh_interval: '1s' },
      },
    }
    expect(await between(rich, JSON.parse(JSON.stringify(same)))).to.deep.equal([])
  })

  it('says what Elasticsearch refuses of a definition, and creates nothing', async () => {
    const error = await between(rich, field({ title: { type: 'text', analyzer: 'nobody' } })).catch((error) => error)
    expect(error.code).to.equal('MAPPING_REFUSED')
    expect(error.message).to.include('analyzer [nobody] has not been configured')
  })

  it('drift is none of a version as it was created, whatever the cluster adds', async () => {
    expect(await driftOf(search, version)).to.deep.equal([])
  })

  const fields: [string, Values, Partial<Change>][] = [
    ['a new field', { isbn: { type: 'keyword' } }, { path: 'isbn', kind: 'added', refresh: true }],
    ['a new object', { shop: { properties: { city: { type: 'text' } } } }, { path: 'shop', kind: 'added' }],
    ['a new part of a field', {
      title: {
        type: 'text',
        analyzer: 'folded',
        fields: { raw: { type: 'keyword', ignore_above: 256 }, plain: { type: 'text' } },
      },
    }, { path: 'title.plain', kind: 'added', refresh: true }],
    ['ignore_above of a part', {
      title: { type: 'text', analyzer: 'folded', fields: { raw: { type: 'keyword', ignore_above: 9 } } },
    }, { path: 'title.raw: ignore_above', before: '256', after: '9', refresh: true }],
    ['search_analyzer', {
      title: {
        type: 'text',
        analyzer: 'folded',
        search_analyzer: 'standard',
        fields: { raw: { type: 'keyword', ignore_above: 256 } },
      },
    }, { path: 'title: search_analyzer', kind: 'added', refresh: false }],
    ['coerce', { price: { type: 'long', coerce: false } }, { path: 'price: coerce' }],
    ['ignore_malformed', { price: { type: 'long', ignore_malformed: true } }, { path: 'price: ignore_malformed' }],
    ['copy_to', { day: { type: 'date', format: 'yyyy' } }, { path: 'day: copy_to', kind: 'removed', refresh: true }],
    ['a field of a nested one', {
      pages: { type: 'nested', properties: { number: { type: 'integer' }, text: { type: 'text' } } },
    }, { path: 'pages.text', kind: 'added' }],
    ['dynamic of an object', { more: { type: 'object', dynamic: false, properties: { a: { type: 'keyword' } } } }, {
      path: 'more: dynamic',
    }],
    ['depth_limit', { bag: { type: 'flattened', depth_limit: 5 } }, { path: 'bag: depth_limit' }],
    ['max_input_length', { hint: { type: 'completion', max_input_length: 9 } }, { path: 'hint: max_input_length' }],
    ['another child of a join', { kin: { type: 'join', relations: { book: ['chapter', 'review'] } } }, {
      path: 'kin: relations',
    }],
    ['where an alias points', { other: { type: 'alias', path: 'day' } }, { path: 'other: path' }],
    ['norms switched off', { note: { type: 'text', norms: false } }, { path: 'note: norms' }],
    ['fielddata', { note: { type: 'text', norms: false, fielddata: true } }, { path: 'note: fielddata' }],
    ['meta', { price: { type: 'long', meta: { unit: 'cent' } } }, { path: 'price: meta' }],
    ['ignore_z_value', { spot: { type: 'geo_point', ignore_z_value: false } }, { path: 'spot: ignore_z_value' }],
  ]
  for (const [name, patch, wanted] of fields) {
    it(`${name} can be put in place, and Elasticsearch takes it`, async () => {
      const changes = await between(rich, field(patch))
      expect(changes.map((each) => each.way), JSON.stringify(changes)).to.satisfy((all: string[]) =>
        all.length > 0 && all.every((each) => each === 'in-place')
      )
      expect(changes.find((each) => each.path === wanted.path)).to.include(wanted)
      expect(await put('_mapping', { properties: patch })).to.equal(200)
    })
  }

  const others: [string, Values][] = [
    ['another type', { price: { type: 'keyword' } }],
    ['another analyzer', {
      title: { type: 'text', analyzer: 'simple', fields: { raw: { type: 'keyword', ignore_above: 256 } } },
    }],
    ['another format', { day: { type: 'date', format: 'yyyy-MM', copy_to: 'note' } }],
    ['doc_values', { price: { type: 'long', doc_values: false } }],
    ['null_value', { price: { type: 'long', null_value: 1 } }],
    ['index', { price: { type: 'long', index: false } }],
    ['store', { price: { type: 'long', store: true } }],
    ['an object made nested', { more: { type: 'nested', properties: { a: { type: 'keyword' } } } }],
    ['include_in_parent', {
      pages: { type: 'nested', include_in_parent: true, properties: { number: { type: 'integer' } } },
    }],
    ['enabled', { more: { type: 'object', enabled: false, properties: { a: { type: 'keyword' } } } }],
    ['a child that leaves a join', { kin: { type: 'join', relations: { book: ['review'] } } }],
    ['similarity', { note: { type: 'text', norms: false, fielddata: true, similarity: 'boolean' } }],
    ['normalizer of a part', {
      title: {
        type: 'text',
        analyzer: 'folded',
        fields: { raw: { type: 'keyword', ignore_above: 256, normalizer: 'lowercase' } },
      },
    }],
  ]
  for (const [name, patch] of others) {
    it(`${name} needs a new version, and Elasticsearch refuses it in place`, async () => {
      const changes = await between(rich, field(patch))
      expect(wayOf(changes), JSON.stringify(changes)).to.equal('copy')
      // Some refusals are an error of the server to Elasticsearch.
      expect(await put('_mapping', { properties: patch })).to.be.oneOf([400, 500])
    })
  }

  it('settings: dynamic ones can be put in place, others are refused there', async () => {
    const taken: Values = {
      'translog.durability': 'async',
      'max_ngram_diff': 3,
      'search.slowlog.threshold.query.warn': '1s',
      'mapping.depth.limit': 30,
      'merge.policy.segments_per_tier': 5,
      'highlight.max_analyzed_offset': 5_000,
      'query.default_field': ['title', 'note'],
      'unassigned.node_left.delayed_timeout': '2m',
    }
    const refused: Values = {
      codec: 'best_compression',
      number_of_shards: 2,
      'similarity.own.type': 'boolean',
      'analysis.analyzer.plain.type': 'simple',
      'mapping.coerce': false,
    }
    const ways = async (settings: Values) =>
      (await between(rich, { ...rich, settings: { ...rich.settings, ...settings } })).map((each) => each.way)
    expect(new Set(await ways(taken))).to.deep.equal(new Set(['in-place']))
    expect(await ways(taken)).to.have.length(8)
    expect(await put('_settings', { index: taken })).to.equal(200)
    expect(new Set(await ways(refused))).to.deep.equal(new Set(['copy']))
    for (const [name, value] of Object.entries(refused)) {
      expect(await put('_settings', { index: { [name]: value } }), name).to.equal(400)
    }
  })

  it('root parameters can be put in place, but for routing and _source', async () => {
    const root = async (patch: Values) =>
      wayOf(await between(rich, { ...rich, mappings: { ...rich.mappings, ...patch } }))
    const taken = [
      { dynamic: false },
      { _meta: { team: 'shop' } },
      { numeric_detection: true },
      { dynamic_templates: [] },
      { runtime: { year: { type: 'long' }, month: { type: 'long' } } },
    ]
    for (const each of taken) {
      expect(await root(each), JSON.stringify(each)).to.equal('in-place')
      expect(await put('_mapping', each)).to.equal(200)
    }
    expect(await root({ _routing: { required: false } })).to.equal('copy')
    expect(await put('_mapping', { _routing: { required: false } })).to.equal(400)
    expect(await root({ _source: { excludes: ['note'] } })).to.equal('populate')
    expect(await put('_mapping', { _source: { excludes: ['note'] } })).to.equal(400)
  })

  it('a removed field, and a new one beside what needs a new version, need a populate', async () => {
    const { note: _note, day, ...left } = rich.mappings.properties as Values
    const removed = await between(rich, {
      ...rich,
      mappings: { ...rich.mappings, properties: { ...left, day: { type: 'date', format: 'yyyy' } } },
    })
    expect(day).to.include({ copy_to: 'note' })
    expect(removed.find((each) => each.path === 'note')).to.include({ kind: 'removed', way: 'populate' })
    expect(wayOf(await between(rich, field({ isbn: { type: 'keyword' }, price: { type: 'keyword' } })))).to.equal(
      'populate',
    )
  })

  it('drift tells what somebody changed by hand, and not what documents add where they may', async () => {
    const loose: Snapshot = {
      mappings: {
        properties: { a: { type: 'keyword' }, o: { dynamic: 'strict', properties: { x: { type: 'long' } } } },
      },
      settings: { number_of_replicas: 0 },
      revision: null,
    }
    const other = versionOf('loose', loose)
    await createPhysical(search, other, 30_000)
    await restoreSettings(search, other)
    await world.client.index({ index: other.physical, document: { a: 'x', b: 1, c: { d: 'y' } } })
    expect(await driftOf(search, other)).to.deep.equal([])
    await world.client.indices.putMapping({
      index: other.physical,
      properties: { o: { properties: { z: { type: 'long' } } }, a: { type: 'keyword', ignore_above: 7 } },
    })
    await world.client.indices.putSettings({ index: other.physical, settings: { 'index.blocks.write': true } })
    const found = (await driftOf(search, other))!.map(({ path, kind }) => `${path} ${kind}`)
    expect(found).to.deep.equal(['a: ignore_above added', 'o.z added', 'settings: blocks.write added'])
    expect(await driftOf(search, versionOf('nothing', loose))).to.equal(undefined)
  })
})
