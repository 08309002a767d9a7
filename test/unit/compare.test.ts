import { expect } from 'chai'
import { sameJson } from '../../src/search/compare.ts'
import { type Kept, observe, type Seen } from '../../src/search/observe.ts'

const same = (one: string, other: string) => sameJson(JSON.parse(one), JSON.parse(other))

describe('JSON', () => {
  it('is the same whatever the order of keys and the form of numbers', () => {
    expect(same('{"a":1,"b":{"c":[1,2],"d":null}}', '{"b":{"d":null,"c":[1.0,2e0]},"a":1.00}')).to.equal(true)
    expect(same('1000', '1e3')).to.equal(true)
    expect(same('"\\u00e9"', '"é"')).to.equal(true)
  })

  it('differs by values, types, order of lists, and keys that are there or not', () => {
    const pairs = [
      ['{"a":1}', '{"a":2}'],
      ['{"a":1}', '{"a":"1"}'],
      ['{"a":null}', '{}'],
      ['{"a":null}', '{"b":null}'],
      ['[1,2]', '[2,1]'],
      ['[]', '{}'],
      ['null', '{}'],
      ['{"a":[{"b":1}]}', '{"a":[{"b":1},{}]}'],
      ['{"toString":1}', '{"a":1}'],
    ] as const
    for (const [one, other] of pairs) expect(same(one, other), `${one} ${other}`).to.equal(false)
  })
})

describe('two looks at the markers', () => {
  const kept: Kept = {
    n: 7,
    databaseId: 'a',
    identity: { database: '1', system: '2', timeline: '00000001' },
    cluster: 'c',
    nodes: { one: 'x' },
    indexes: { 'books-1': 'u' },
  }
  const mark = { n: 7, databaseId: 'a', identity: kept.identity, cluster: 'c', highest: '100' }
  const now: Seen = { ...kept, nodes: { one: 'x' }, clock: '101', drawn: '100', mark }
  const kinds = (changedKept: Partial<Kept>, changedNow: Partial<Seen>) =>
    observe({ ...kept, ...changedKept }, { ...now, ...changedNow }).seen.map((each) => each.kind)

  it('suspect nothing while both go on together, and count up', () => {
    expect(observe(kept, now)).to.eql({ seen: [], n: 8, restarted: false })
  })

  it('suspect nothing at the first look', () => {
    const first = { ...kept, n: 0, identity: {}, cluster: null, nodes: null, indexes: {} }
    expect(observe(first, { ...now, mark: undefined })).to.eql({ seen: [], n: 1, restarted: false })
  })

  it('suspect nothing after a crash between both, and do not count on before the step is made good', () => {
    expect(observe({ ...kept, n: 8 }, now)).to.eql({ seen: [], n: 8, restarted: false })
    expect(observe({ ...kept, n: 1 }, { ...now, mark: undefined })).to.eql({ seen: [], n: 1, restarted: false })
  })

  it('tell which side is behind, and count on above both', () => {
    expect(kinds({ n: 6 }, {})).to.eql(['database-behind'])
    expect(observe({ ...kept, n: 3 }, now).n).to.equal(8)
    expect(kinds({ n: 9 }, {})).to.eql(['search-behind'])
    expect(kinds({}, { mark: undefined })).to.eql(['search-behind'])
    expect(kinds({ n: 0, identity: {} }, {})).to.eql(['database-behind'])
  })

  it('tell another place, timeline, cluster, index, and a clock that fell back', () => {
    expect(kinds({}, { identity: { ...kept.identity, database: '9' } })).to.eql(['database-moved'])
    expect(kinds({}, { identity: { ...kept.identity, system: '9' } })).to.eql(['database-moved'])
    expect(kinds({}, { identity: { ...kept.identity, timeline: '00000002' } })).to.eql(['timeline'])
    expect(kinds({ identity: { database: '9' } }, { identity: { database: '1' } })).to.eql(['database-moved'])
    expect(kinds({}, { cluster: 'other' })).to.eql(['cluster'])
    expect(kinds({}, { indexes: { 'books-1': 'v', 'books-2': 'new' } })).to.eql(['index-restored'])
    expect(kinds({}, { mark: { ...mark, highest: '500' } })).to.eql(['clock-behind'])
    expect(kinds({}, { mark: { ...mark, databaseId: 'b' } })).to.eql(['database-other'])
  })

  it('suspect nothing of what they may not read', () => {
    expect(kinds({}, { identity: {}, cluster: null, nodes: null, indexes: {} })).to.eql([])
  })

  it('tell nodes that came, went or were started again', () => {
    const restarted = (nodes: Record<string, string> | null) => observe(kept, { ...now, nodes }).restarted
    expect(restarted({ one: 'y' })).to.equal(true)
    expect(restarted({ one: 'x', two: 'z' })).to.equal(true)
    expect(restarted({})).to.equal(true)
    expect(restarted({ one: 'x' })).to.equal(false)
    expect(restarted(null)).to.equal(false)
  })
})
