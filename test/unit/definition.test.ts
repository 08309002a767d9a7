import { expect } from 'chai'
import { assertDistinct, canonicalJson, defineIndex, type DefinitionOptions } from '../../src/search/definition.ts'
import { flatSettings, storesAsSent } from '../../src/search/settings.ts'
import { definitionAlias, readAlias, writeAlias } from '../../src/search/versions.ts'
import { bookSource } from '../support/simple_source.ts'

const define = (changes: Partial<DefinitionOptions> = {}) =>
  defineIndex({
    name: 'books',
    mappings: { dynamic: 'strict', properties: { a: { type: 'text' } } },
    source: bookSource(),
    ...changes,
  })
const fault = (changes: object): string => {
  try {
    define(changes)
    return ''
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as Error).message}`
  }
}

describe('defineIndex', () => {
  it('gives equal definitions one hash, whatever the order of their keys', () => {
    const other = define({ mappings: { properties: { a: { type: 'text' } }, dynamic: 'strict' } })
    expect(other.hash).to.equal(define().hash).and.match(/^[0-9a-f]{64}$/)
  })

  it('gives other mappings, settings and revisions another hash', () => {
    const hashes = [
      define(),
      define({ mappings: {} }),
      define({ settings: { number_of_shards: 2 } }),
      define({ revision: 1 }),
      define({ revision: '1' }),
    ].map((each) => each.hash)
    expect(new Set(hashes).size).to.equal(5)
  })

  it('takes no notice of the source: `revision` says when it makes other documents', () => {
    expect(define({ source: bookSource([]) }).hash).to.equal(define().hash)
  })

  for (
    const name of [
      '',
      'Books',
      '_books',
      '-b',
      '+b',
      '.b',
      'a b',
      'a/b',
      'a*',
      'a~b',
      'a@1',
      'a,b',
      'a#b',
      'x'.repeat(201),
    ]
  ) {
    it(`refuses the name ${JSON.stringify(name.slice(0, 12))}`, () =>
      expect(fault({ name })).to.match(/^DEFINITION_INVALID/))
  }

  it('says what is wrong with it', () => {
    expect(fault({ mappings: [] })).to.include('`mappings` is not an object').and.include('next: ')
    expect(fault({ settings: 'x' })).to.include('`settings` is not an object')
    expect(fault({ source: undefined })).to.include('`source` is not a source')
  })

  it('refuses two of one name', () => {
    expect(() => assertDistinct([define(), define({ revision: 2 })])).to.throw('Two definitions have the name "books"')
  })
})

describe('canonicalJson', () => {
  it('sorts keys at every depth and keeps the order of lists', () => {
    expect(canonicalJson({ b: [{ d: 1, c: 2 }, 1], a: null })).to.equal('{"a":null,"b":[{"c":2,"d":1},1]}')
  })
})

describe('names of a version', () => {
  it('are its aliases', () => {
    const version = { prefix: 'qa_', index: 'books', physical: 'qa_books-7', hash: '1a2b3c4d5e' }
    expect([readAlias(version), writeAlias(version), definitionAlias(version)]).to.eql([
      'qa_books',
      'qa_books-7.write',
      'qa_books~1a2b3c4d',
    ])
  })
})

describe('settings of a definition', () => {
  const kept = (settings: Record<string, unknown>, mappings: Record<string, unknown> = {}) =>
    storesAsSent({ settings, mappings })

  it('are the same ones however they are nested', () => {
    const flat = { number_of_shards: 2, 'analysis.filter.x.stopwords': ['a'] }
    const nested = { index: { number_of_shards: 2 }, analysis: { filter: { x: { stopwords: ['a'] } } } }
    expect(flatSettings({ settings: nested })).to.eql(flat)
    expect(flatSettings({ settings: { 'index.number_of_shards': 2, 'index.analysis': nested.analysis } })).to.eql(flat)
  })

  it('tell whether documents are stored as they are sent', () => {
    const changing = [
      { index: { mapping: { source: { mode: 'synthetic' } } } },
      { 'index.mapping': { source: { mode: 'disabled' } } },
      { mapping: { 'source.mode': 'synthetic' } },
      { index: { mode: 'logsdb' } },
      { mode: 'time_series' },
      { index: { default_pipeline: 'p' } },
      { 'index.final_pipeline': 'p' },
    ]
    for (const each of changing) expect(kept(each), JSON.stringify(each)).to.equal(false)
    for (const each of [{ enabled: 'false' }, { excludes: ['a'] }, { includes: ['a'] }, { mode: 'synthetic' }]) {
      expect(kept({}, { _source: each }), JSON.stringify(each)).to.equal(false)
    }
    const keeping = [
      {},
      { index: { mode: 'standard', default_pipeline: '_none', mapping: { total_fields: { limit: 9 } } } },
      { mode: 'logsdb', 'mapping.source.mode': 'stored' },
    ]
    for (const each of keeping) expect(kept(each), JSON.stringify(each)).to.equal(true)
    expect(kept({}, { _source: { enabled: true } })).to.equal(true)
  })
})
