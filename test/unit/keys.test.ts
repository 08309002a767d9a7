import { expect } from 'chai'
import { compareKey, keyText, quoteText, splitKey, splitKeySql } from '../../adapters/sequelize/keys.ts'
import { keysIn } from '../../src/cli/update.ts'

const join = (parts: readonly string[]) =>
  parts.map((each) => each.replaceAll('\\', '\\\\').replaceAll(',', '\\,')).join(',')

describe('the text of a key', () => {
  it('is the plain text of a single part', () => {
    expect(splitKey('a,b\\', 1)).to.deep.equal(['a,b\\'])
  })

  it('splits into the parts it was joined from', () => {
    for (const parts of [['a', 'b'], ['a,b', '\\'], ['', ''], [',', ',,'], ['\\,', '\\\\'], ['a', '', 'c']]) {
      expect(splitKey(join(parts), parts.length), join(parts)).to.deep.equal(parts)
    }
  })

  it('is no key of a table with another number of parts', () => {
    expect(splitKey('a', 2)).to.equal(undefined)
    expect(splitKey('a,b,c', 2)).to.equal(undefined)
    expect(splitKey('a\\,b', 2)).to.equal(undefined)
  })
})

describe('keys in a list', () => {
  it('are any keys, with commas and backslashes escaped once more', () => {
    const keys = ['1', join(['7', 'a,b']), join(['\\', ',']), 'a\\b']
    const typed = keys.map((each) => each.replaceAll('\\', '\\\\').replaceAll(',', '\\,')).join(',')
    expect(keysIn(typed), typed).to.deep.equal(keys)
    expect(keysIn('a\\b,2')).to.deep.equal(['a\\b', '2'])
  })
})

describe('SQL of keys', () => {
  it('quotes identifiers and text', () => {
    const key = [{ name: 'a"b', type: 'integer' }, { name: 'c', type: 'text' }]
    expect(compareKey('t', key, '>', ['$1', '$2'])).to.equal('("t"."a""b", "t"."c") > ($1, $2)')
    expect(quoteText(`it's`)).to.equal(`'it''s'`)
    expect(quoteText('a\\b')).to.equal(` E'a\\\\b'`)
  })

  it('takes a single part as it is', () => {
    const key = [{ name: 'id', type: 'uuid' }]
    expect(keyText('t', key)).to.equal('"t"."id"::text')
    expect(splitKeySql('$2', key)).to.deep.equal(['$2::uuid'])
  })
})
