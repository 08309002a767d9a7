import { expect } from 'chai'
import { markNow, unprocessed } from '../../src/queue/changes.ts'
import { startWorker } from '../../src/queue/worker.ts'
import { converge } from '../../src/search/lifecycle.ts'
import { listVersions } from '../../src/search/versions.ts'
import { type Core, createCore, remove, rowTitles, titles, write } from '../support/core.ts'
import { type Server, startOwn, waitFor, whyNoOwn } from '../support/world.ts'

describe('outages', function () {
  this.timeout(300_000)

  for (const kind of ['elasticsearch', 'postgres'] as const) {
    describe(`of ${kind}`, () => {
      let server: Server
      let core: Core
      before(async function () {
        const why = await whyNoOwn(kind)
        if (why !== undefined) return this.skip()
        server = await startOwn(kind)
        core = await createCore(kind === 'postgres' ? { databaseUrl: server.url } : { elasticsearchUrl: server.url })
      })
      after(async () => {
        await core?.drop()
        await server?.stop()
      })

      it('lose nothing that was committed, and bring nothing back that was deleted', async () => {
        await write(core, Array.from({ length: 200 }, (_, at) => ({ id: at, title: 'old' })))
        await converge(core.lifecycle(), true)
        const worker = startWorker(core.options({ leaseMs: 3_000 }))
        let writing = true
        let writes = 0
        const writer = (async () => {
          while (writing) {
            // The application goes on: its writes fail while PostgreSQL is away, and only then.
            await write(core, [{ id: writes % 300, title: `w${writes}` }]).then(() => writes++, () => pause(100))
            if (writes % 4 === 0) await remove(core, [(writes * 7) % 300]).catch(() => {})
          }
        })()
        await waitFor(() => writes > 50, { timeoutMs: 30_000 })
        for (let times = 0; times < 2; times++) {
          await server.kill()
          const before = writes
          if (kind === 'elasticsearch') await waitFor(() => writes > before + 50, { timeoutMs: 30_000 })
          await server.start()
          await waitFor(() => writes > before + 100, { timeoutMs: 60_000 })
        }
        writing = false
        await writer
        const [version] = await listVersions(core.store, core.world.prefix)
        await waitFor(async () => {
          const left = await unprocessed(core.store, [version!.id], await markNow(core.store))
          return left.changes + left.pending === 0
        }, { timeoutMs: 60_000, everyMs: 200 })
        await worker.stop()
        expect(await titles(core, version!.physical)).to.eql(await rowTitles(core))
      })
    })
  }
})

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
