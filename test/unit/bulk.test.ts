import { expect } from 'chai'
import { ElasticUmzugError, NoAnswerError } from '../../src/errors.ts'
import type { SearchAnswer, SearchClient, SearchRequest } from '../../src/ports.ts'
import { assertAnswer, deleteLine, isLoad, isUncertain, reasonOf, sendBulk } from '../../src/search/bulk.ts'
import { contentsOf } from '../../src/search/compare.ts'

const answering = (status: number, body: object): SearchClient => ({
  label: 'test',
  request: <Body>() => Promise.resolve({ status, body } as SearchAnswer<Body>),
})
const outcome = (status: number, body: object) => sendBulk(answering(status, body), 'a.write', '', 1_000)
const refusal = (status: number, type = '') => ({ position: 0, status, type, reason: '' })

describe('sendBulk', () => {
  it('names the lines that were refused, by their place', async () => {
    const items = [
      { index: { status: 201 } },
      { index: { status: 400, error: { type: 'mapper', reason: 'bad', caused_by: { reason: 'why' } } } },
      { index: { status: 409, error: { type: 'conflict', reason: 'newer' } } },
      { delete: { status: 404 } },
    ]
    expect(await outcome(200, { errors: true, items })).to.eql({
      kind: 'answered',
      refusals: [{ position: 1, status: 400, type: 'mapper', reason: 'mapper: bad: why' }],
    })
  })

  it('takes 4xx for a refusal of the whole, 5xx and half an answer for none', async () => {
    expect(await outcome(429, { error: { reason: 'busy' } })).to.eql({
      kind: 'refused',
      status: 429,
      reason: '429 busy',
    })
    expect(await outcome(413, {})).to.include({ kind: 'refused', status: 413 })
    expect(await outcome(502, { error: 'gateway' })).to.eql({ kind: 'unanswered', reason: '502 gateway' })
    expect((await outcome(200, {})).kind).to.equal('unanswered')
  })

  it('tells a request that never left from one without answer, and lets other faults through', async () => {
    const failing = (error: Error): SearchClient => ({ label: '', request: () => Promise.reject(error) })
    const send = (error: Error) => sendBulk(failing(error), 'a', '', 1)
    expect((await send(new NoAnswerError('x', false))).kind).to.equal('unsent')
    expect((await send(new NoAnswerError('x', true))).kind).to.equal('unanswered')
    expect(await send(new TypeError('bug')).catch((error) => error)).to.be.an.instanceOf(TypeError)
  })

  it('asks for an alias, and gives the cluster the time there is', async () => {
    let sent: SearchRequest | undefined
    const search: SearchClient = {
      label: '',
      request: (request) => {
        sent = request
        return Promise.reject(new NoAnswerError('', true))
      },
    }
    await sendBulk(search, 'a.write', 'lines\n', 1_234.5)
    expect(sent).to.deep.include({ path: '/a.write/_bulk', body: 'lines\n', timeoutMs: 1_234.5 })
    expect(sent!.query).to.include({ require_alias: true, timeout: '1234ms' })
  })
})

describe('refusals', () => {
  it('are load, uncertain, or the document’s own', () => {
    expect([429, 403, 404].every((each) => isLoad(refusal(each)))).to.equal(true)
    expect(isLoad(refusal(400, 'index_closed_exception'))).to.equal(true)
    expect(isLoad(refusal(400, 'strict_dynamic_mapping_exception'))).to.equal(false)
    expect([500, 503].every((each) => isUncertain(refusal(each)))).to.equal(true)
  })
})

describe('lines of a request', () => {
  it('delete with the number as it is, beyond what a JavaScript number holds', () => {
    expect(deleteLine('a"b\n', '9007199254740993')).to.equal(
      '{"delete":{"_id":"a\\"b\\n","version":9007199254740993,"version_type":"external"}}\n',
    )
  })

  it('give their keys and contents back', () => {
    const body = '{"index":{"_id":"1"}}\n{"index":{"_id":"no"}}\n{"index":{"_id":"2"}}\n{}\n'
    expect([...contentsOf({ body })]).to.eql([['1', { index: { _id: 'no' } }], ['2', {}]])
  })
})

describe('answers', () => {
  it('that are no success are errors with the reason', () => {
    expect(reasonOf({ error: { reason: 'a', caused_by: { reason: 'b' } } })).to.equal('a: b')
    expect(() => assertAnswer(500, { error: 'x' }, 'to do it')).to.throw(
      ElasticUmzugError,
      'Elasticsearch refused to do it: x',
    )
    expect(() => assertAnswer(201, {}, '')).not.to.throw()
  })
})
