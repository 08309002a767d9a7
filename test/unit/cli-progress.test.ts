import { expect } from 'chai'
import { createMeter, duration, followProgress } from '../../src/cli/progress.ts'
import { createEmitter } from '../../src/events.ts'
import type { Clock, Runtime } from '../../src/ports.ts'

/** A clock that is moved by hand. */
function handClock(): Clock & { at: number } {
  return {
    at: 0,
    now() {
      return this.at
    },
    sleep: () => Promise.resolve(),
  }
}

function page(total: number, documents: number = 100, expected: number = 1_000, index: string = 'books') {
  return { index, version: 1, documents, total, expected }
}

describe('cli progress', () => {
  it('tells rate and time left from the second page on', () => {
    const clock = handClock()
    const meter = createMeter(clock)
    meter(page(100))
    clock.at = 2_000
    expect(meter(page(500, 400))).to.equal('books-1: 500 of 1000 (50 %), 200 documents/s, 3s left')
  })

  it('does not count what an earlier run did into the rate', () => {
    const clock = handClock()
    const meter = createMeter(clock)
    meter(page(900))
    clock.at = 1_000
    expect(meter(page(950, 50))).to.include('50 documents/s, 1s left')
  })

  it('claims neither a rate nor an end from a single page', () => {
    expect(createMeter(handClock())(page(100))).to.equal('books-1: 100 of 1000 (10 %)')
  })

  it('stays at 100 % when more rows came than were expected, or none', () => {
    const clock = handClock()
    const meter = createMeter(clock)
    meter(page(900))
    clock.at = 1_000
    expect(meter(page(1_100))).to.include('1100 of 1000 (100 %)').and.include('0s left')
    expect(createMeter(clock)(page(3, 3, 0))).to.include('(100 %)')
  })

  it('measures every version by itself', () => {
    const clock = handClock()
    const meter = createMeter(clock)
    meter(page(100))
    clock.at = 10_000
    expect(meter(page(100, 100, 1_000, 'films'))).to.equal('films-1: 100 of 1000 (10 %)')
  })

  it('prints durations in two units', () => {
    expect([0, 59.4, 59.6, 75, 3_599.7, 3_660, 90_000].map(duration))
      .to.deep.equal(['0s', '59s', '1m0s', '1m15s', '1h0m', '1h1m', '25h0m'])
  })

  function follow(isTerminal: boolean) {
    const clock = handClock()
    const written: string[] = []
    const runtime = { clock, isTerminal, write: (text: string) => void written.push(text) } as unknown as Runtime
    const emitter = createEmitter()
    const end = followProgress(emitter, runtime)
    const emit = (at: number, total: number) => {
      clock.at = at
      emitter.emit('populate:page:complete', page(total))
    }
    return { written, emit, end }
  }

  it('keeps one moving line in a terminal and clears it at the end', () => {
    const { written, emit, end } = follow(true)
    emit(0, 100)
    emit(150, 200)
    emit(160, 300)
    end()
    expect(written).to.have.length(2)
    expect(written[0]?.startsWith('\r\x1b[Kbooks-1: 200 of 1000'), written[0]).to.equal(true)
    expect(written[1]).to.equal('\r\x1b[K')
  })

  it('prints a plain line every ten seconds elsewhere, and none for short work', () => {
    const { written, emit, end } = follow(false)
    for (const [at, total] of [[0, 100], [9_000, 200], [10_000, 300], [12_000, 400]] as const) emit(at, total)
    end()
    emit(40_000, 500)
    expect(written).to.have.length(1)
    expect(written[0]).to.match(/^books-1: 300 of 1000 .*\n$/)
  })
})
