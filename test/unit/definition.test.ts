import { expect } from 'chai'
import { assertDistinct, canonicalJson, defineIndex, type DefinitionOptions } from '../../src/search/definition.ts'
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
