import { expect } from 'chai'
import { dispatch } from '../../src/queue/changes.ts'
import { startWorker } from '../../src/queue/worker.ts'
import { type BadNetwork, isBulk, startBadNetwork } from '../support/bad_network.ts'
import { type Core, createCore, defineBooks, pendingRows, readyVersion, write } from '../support/core.ts'
import { waitFor } from '../support/world.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('an outage', () => {
  let core: Core
  let network: BadNetwork
  const definitions = ['a', 'b', 'c', 'd'].map((each) => defineBooks(each))
  before(async () => {
    core = await createCore()
    network = await startBadNetwork(core.world.elasticsearchUrl)
    for (const each of definitions) await readyVersion(core, each)
  })
  after(async () => {
    await network?.stop()
    await core?.drop()
  })

  it('is asked for its end by one request at a time, and nothing else is sent before', async () => {
    let isAway = true
    const sent: string[] = []
    const open = { now: 0, most: 0 }
    network.behave(async (passing) => {
      sent.push(isBulk(passing) ? 'bulk' : 'probe')
      if (!isAway) return await passing.forward()
      if (isBulk(passing)) return undefined
      open.most = Math.max(open.most, ++open.now)
      await pause(100)
      open.now--
      return { status: 503, body: '{}' }
    })
    await write(core, Array.from({ length: 50 }, (_, at) => ({ id: at, title: 't' })))
    await dispatch(core.store)
    const worker = startWorker(core.options({ definitions, search: network.search, leaseMs: 3_000, batchSize: 5 }))
    try {
      await waitFor(() => sent.filter((each) => each === 'probe').length > 3)
      // Each version found it out by itself, with one batch.
      expect(sent.filter((each) => each === 'bulk').length).to.be.at.most(definitions.length)
      expect(open.most).to.equal(1)
      const before = sent.length
      await pause(1_500)
      expect(sent.slice(before)).not.to.include('bulk')
      expect(sent.length - before).to.be.lessThan(8)
      isAway = false
      await waitFor(async () => (await pendingRows(core)).length === 0, { timeoutMs: 30_000 })
    } finally {
      isAway = false
      await worker.stop()
    }
  })
})
