import { expect } from 'chai'
import type { Events } from '../../src/events.ts'
import { createAttendance } from '../../src/queue/serving.ts'
import { unservedVersions } from '../../src/queue/unserved.ts'
import { activateVersion, createVersion } from '../../src/search/lifecycle.ts'
import { readVersion, type Version } from '../../src/search/versions.ts'
import { openSession } from '../../src/store/lock.ts'
import {
  type Core,
  createCore,
  defineBooks,
  dispatchAll,
  pendingRows,
  readyVersion,
  serve,
  write,
} from '../support/core.ts'
import { rejection } from '../support/rejection.ts'

describe('versions that nobody serves', () => {
  let core: Core
  let old: Version
  let current: Version
  const events: string[] = []
  before(async () => {
    core = await createCore()
    old = await readyVersion(core, defineBooks('old'))
    current = await readyVersion(core)
    for (const name of ['queue:version:unserved', 'queue:version:abandoned'] as const) {
      core.emitter.on(name, (event: Events[typeof name]) => events.push(`${name} ${event.version}`))
    }
    await core.sql(`UPDATE elastic_umzug.index_versions SET state = 'active' WHERE id = $1`, [current.id])
    await write(core, [{ id: 1, title: 'a' }, { id: 2, title: 'b' }])
    await dispatchAll(core)
  })
  after(() => core.drop())
  beforeEach(async () => {
    events.length = 0
    await age(old, 'retired', '2 hours')
    await age(current, 'active', '1 minute')
  })

  const age = ({ id }: Version, state: string, since: string) =>
    core.sql(
      `UPDATE elastic_umzug.index_versions SET state = $2, created_at = now() - interval '9 days', retired_at = NULL,
         served_at = now() - $3::interval WHERE id = $1`,
      [id, state, since],
    )
  const attend = async (served: Version[] = []): Promise<void> =>
    createAttendance(core.options())(await Promise.all(served.map((each) => serve(core, each))))

  it('are listed with what waits for them', async () => {
    const [only, ...others] = await unservedVersions(core.store)
    expect(others).to.eql([])
    expect(only).to.include({ index: 'books', number: 1, state: 'retired', pending: 2, abandonedAt: null })
  })

  it('are noted as served by a worker, at most once a minute', async () => {
    const noted = async () => (await core.sql<{ at: string }>(
      'SELECT served_at::text AS at FROM elastic_umzug.index_versions ORDER BY id',
    ))
    await attend([old, current])
    const first = await noted()
    expect(await unservedVersions(core.store)).to.eql([])
    await attend([old, current])
    expect(await noted()).to.eql(first)
  })

  it('raise an event, once, while they are needed; and are kept however long it takes', async () => {
    await age(current, 'active', '8 days')
    await age(old, 'populating', '8 days')
    const attendance = createAttendance(core.options())
    await attendance([])
    await attendance([])
    expect(events).to.eql(['queue:version:unserved 1', 'queue:version:unserved 2'])
    expect(await pendingRows(core)).to.have.length(4)
  })

  it('are not given up while a command runs: it may be activating them', async () => {
    const session = await openSession(core.store)
    await session.tryLock('run')
    await attend()
    await session.close()
    expect(events).to.eql([])
    expect((await readVersion(core.store, old.id)).abandonedAt).to.equal(null)
  })

  it('are not given up before their time', async () => {
    await createAttendance(core.options({ abandonMs: 3 * 3_600_000 }))([])
    expect(events).to.eql([])
  })

  it('are given up when they are retired: nothing waits for them any more, and nobody can go back to them', async () => {
    await attend()
    expect(events).to.eql(['queue:version:abandoned 1'])
    await write(core, [{ id: 3, title: 'c' }])
    await dispatchAll(core)
    expect((await pendingRows(core)).map((each) => each.version)).to.eql([current.id, current.id, current.id])
    const deps = core.lifecycle({ definitions: [defineBooks('old')] })
    expect(await rejection(activateVersion(deps, old))).to.include({ code: 'VERSION_ABANDONED' })
    const anew = await createVersion(deps, defineBooks('old'))
    expect(anew.number).to.equal(3)
  })
})
