import { expect } from 'chai'
import { cutText, lastKey } from '../../adapters/sequelize/bulk-lines.ts'

const pair = (key: string, document: unknown) =>
  `{"index":{"_id":${JSON.stringify(key)},"version":1,"version_type":"external"}}\n${JSON.stringify(document)}\n`
const page = (...pairs: string[]) => ({
  count: pairs.length,
  body: pairs.join(''),
  keys: [],
  last: lastKey(pairs.join('')),
})

describe('a text of bulk lines', () => {
  it('ends in the key of its last document, whatever is in it', () => {
    expect(lastKey('')).to.equal(null)
    expect(lastKey(pair('1', {}))).to.equal('1')
    expect(lastKey(pair('1', {}) + pair('a"\n\\,b', { index: { _id: '9' } }))).to.equal('a"\n\\,b')
  })

  it('is cut behind the document that reaches the limit, and holds at least one', () => {
    const all = [pair('1', { a: 'x'.repeat(100) }), pair('2', { index: { _id: 'no' } }), pair('3', {})]
    const size = (count: number) => all.slice(0, count).join('').length
    expect(cutText(page(...all), size(3))).to.deep.equal(page(...all))
    expect(cutText(page(...all), size(2))).to.deep.equal(page(all[0]!, all[1]!))
    expect(cutText(page(...all), size(1) + 1)).to.deep.equal(page(all[0]!, all[1]!))
    expect(cutText(page(...all), size(1))).to.deep.equal(page(all[0]!))
    expect(cutText(page(...all), 0)).to.deep.equal(page(all[0]!))
    expect(cutText(page(), 0)).to.deep.equal(page())
  })
})
