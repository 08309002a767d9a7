import { expect } from 'chai'
import { createBatchSize, createPace } from '../../src/queue/pace.ts'

describe('pace', () => {
  const wrote = (pace: ReturnType<typeof createPace>, times: number, ms = 10) => {
    for (let at = 0; at < times; at++) pace.wrote(100_000, ms)
  }

  it('begins with one batch, and grows by one a round up to the most', () => {
    const pace = createPace(4)
    expect(pace.batches).to.equal(1)
    wrote(pace, 1)
    expect(pace.batches).to.equal(2)
    wrote(pace, 2)
    expect(pace.batches).to.be.within(2, 3)
    wrote(pace, 100)
    expect(pace.batches).to.equal(4)
  })

  it('halves at each refusal, down to one', () => {
    const pace = createPace(8)
    wrote(pace, 100)
    pace.overloaded()
    expect(pace.batches).to.equal(4)
    for (let at = 0; at < 10; at++) pace.overloaded()
    expect(pace.batches).to.equal(1)
  })

  it('shrinks while answers come much later than usual, and grows again after', () => {
    const pace = createPace(8)
    wrote(pace, 200)
    wrote(pace, 15, 100)
    expect(pace.batches).to.be.lessThan(5)
    wrote(pace, 200)
    expect(pace.batches).to.equal(8)
  })

  it('takes a cluster that is slower for good as it is', () => {
    const pace = createPace(4)
    wrote(pace, 200)
    wrote(pace, 500, 100)
    expect(pace.batches).to.equal(4)
  })

  it('is not disturbed by the size of batches', () => {
    const pace = createPace(4)
    for (let at = 0; at < 300; at++) {
      const bytes = at % 2 === 0 ? 1_000 : 1_000_000
      pace.wrote(bytes, 5 + bytes / 20_000)
    }
    expect(pace.batches).to.equal(4)
  })
})

describe('batch size', () => {
  it('fits into the bytes of a request', () => {
    const size = createBatchSize(500)
    size.wrote(500, 50_000_000)
    expect(size.keys).to.equal(50)
    for (let at = 0; at < 64; at++) size.wrote(size.keys, size.keys * 1_000)
    expect(size.keys).to.equal(500)
  })

  it('is halved down to one key, and grows after eight batches', () => {
    const size = createBatchSize(8)
    size.halve(8)
    expect(size.keys).to.equal(4)
    size.halve(2)
    expect(size.keys).to.equal(1)
    for (let at = 0; at < 7; at++) size.wrote(1, 100)
    expect(size.keys).to.equal(1)
    size.wrote(1, 100)
    expect(size.keys).to.equal(2)
  })

  it('is eased for a busy cluster, to an eighth', () => {
    const size = createBatchSize(800)
    for (let at = 0; at < 10; at++) size.ease()
    expect(size.keys).to.equal(100)
    size.halve(100)
    size.ease()
    expect(size.keys).to.equal(50)
  })
})
