import { expect } from 'chai'
import { monotonicClock } from '../../adapters/clock.ts'
import type { ElasticUmzug } from '../../src/plugin.ts'
import type { VerifyOptions } from '../../src/commands/verify.ts'
import { markNow, unprocessed } from '../../src/queue/changes.ts'
import { activateVersion } from '../../src/search/lifecycle.ts'
import { differences } from '../../src/search/compare-pages.ts'
import { type Comparison, confirmed } from '../../src/search/compare.ts'
import type { Version } from '../../src/search/versions.ts'
import {
  capture,
  type Core,
  createCore,
  defineBooks,
  process,
  readyVersion,
  rowTitles,
  serve,
  titles,
  watchSearch,
  watchSource,
  write,
} from '../support/core.ts'
import { pluginOf } from '../support/plugin.ts'
import { rejection } from '../support/rejection.ts'
import { bookSource } from '../support/simple_source.ts'

const none = { missing: 0, different: 0, extra: 0, unmakable: 0 }

describe('es:verify', () => {
  let core: Core
  let plugin: ElasticUmzug
  let version: Version
  before(async () => {
    core = await createCore()
    plugin = pluginOf(core)
    await core.sql(`INSERT INTO authors (id, name) VALUES (1, 'ann')`)
    await core.sql(`INSERT INTO books (id, title, author_id) SELECT n, 'book ' || n, 1 FROM generate_series(1, 1500) n`)
    version = await readyVersion(core)
    await activateVersion(core.lifecycle(), version)
  })
  after(() => core.drop())

  const index = () => version.physical
  const verify = (options: VerifyOptions = {}) => plugin.versions.verify([], options)
  const failing = async (options: VerifyOptions = {}) => {
    const error = await rejection(verify(options))
    expect(error.code).to.equal('VERIFY_FAILED')
    return error
  }
  const stored = async (id: string) => (await core.client.get({ index: index(), id }))._version!
  // As a fault would: beside the queue, with the version that the document has, or the given one.
  const tamper = async (id: string, document: object | null, as?: number) => {
    const number = as ?? await stored(id) + 1
    const options = { index: index(), id, version: number, version_type: 'external' as const, refresh: true }
    if (document) await core.client.index({ ...options, document })
    else await core.client.delete(options)
  }
  const equal = async () => expect(await titles(core, index())).to.eql(await rowTitles(core))
  const comparison = (changes: Partial<Comparison> = {}): Comparison => ({
    store: core.store,
    search: core.search,
    version,
    source: core.books.source,
    contents: true,
    drain: async () => await process(core, await serve(core, version)),
    ...changes,
  })

  it('finds nothing where rows and documents are the same', async () => {
    const [result] = await verify()
    expect(result).to.deep.include({ index: 'books', version: 1, repaired: none, remaining: none, ahead: 0 })
    expect(result!.compared).to.equal(3_000)
  })

  it('names what is missing, different and too much, and makes it equal when asked', async () => {
    await tamper('7', null)
    await tamper('8', { title: 'another', author: 'ann' })
    await tamper('9999', { title: 'of no row', author: null }, 1)
    const error = await failing()
    expect(error.message).to.contain('1 missing, 1 different, 1 extra')
    expect(error.message).to.contain('7: has a row but no document')
    expect(error.message).to.contain('8: its document is not what its row gives')
    expect(error.message).to.contain('9999: has a document but no row')
    expect(error.next).to.equal('npx umzug es:verify --repair')
    const [result] = await verify({ repair: true })
    expect(result).to.deep.include({ repaired: { ...none, missing: 1, different: 1, extra: 1 }, remaining: none })
    expect((await verify())[0]).to.deep.include({ remaining: none })
    await equal()
  })

  it('finds a change of a row that nobody recorded', async () => {
    await core.sql(`UPDATE books SET title = 'unrecorded' WHERE id = 20`)
    expect((await failing()).message).to.contain('20: its document is not what its row gives')
    await verify({ repair: true })
    await equal()
  })

  it('takes nothing for a difference that is on its way', async () => {
    await write(core, [{ id: 30, title: 'on its way' }, { id: 1501, title: 'new' }])
    await core.sql('DELETE FROM books WHERE id = 31')
    await capture(core.db, 'public.books', [31])
    expect((await verify())[0]).to.deep.include({ repaired: none, remaining: none })
    await equal()
  })

  it('writes what waits before it opens the index: its reader would not outlast a long backlog', async () => {
    await write(core, [{ id: 2, title: 'waits' }])
    let waiting: number | undefined
    const search = watchSearch(core.search, async ({ path }) => {
      if (!path.endsWith('/_pit')) return
      const { changes, pending } = await unprocessed(core.store, [version.id], await markNow(core.store))
      waiting ??= changes + pending
    })
    await pluginOf(core, { search }).versions.verify()
    expect(waiting).to.equal(0)
  })

  it('takes nothing for a difference that is written between the reading of a document and of its row', async () => {
    let writes = 0
    const source = watchSource(bookSource(), async (what) => {
      if (what === 'byKeys' && writes++ < 3) await write(core, [{ id: 40, title: `write ${writes}` }])
    })
    const found: string[] = []
    const changed = {
      ...source,
      byKeys: async (...given: Parameters<typeof source.byKeys>) => {
        await write(core, [{ id: 40, title: `before ${writes}` }])
        return await source.byKeys(...given)
      },
    }
    found.push(...(await confirmed(comparison({ source: changed }), ['40'])).map((each) => each.key))
    expect(writes).to.be.greaterThan(1)
    expect(found).to.eql([])
  })

  it('goes on while rows are written without pause', async () => {
    await plugin.start()
    let writing = true
    const writer = (async () => {
      for (let n = 0; writing; n++) {
        await write(core, [{ id: 50 + n % 20, title: `write ${n}` }, { id: 2_000 + n % 5, title: `write ${n}` }])
        await core.db.transaction(async (tx) => {
          await tx.query('DELETE FROM books WHERE id = $1', [2_000 + (n + 2) % 5])
          await capture(tx, 'public.books', [2_000 + (n + 2) % 5])
        })
        await monotonicClock.sleep(10)
      }
    })()
    for (let n = 0; n < 2; n++) expect((await verify())[0]).to.deep.include({ repaired: none, remaining: none })
    await core.sql(`UPDATE books SET title = 'unrecorded' WHERE id = 21`)
    expect((await failing()).message).to.contain('21: its').and.to.contain('1 different')
    await verify({ repair: true })
    writing = false
    await writer
    await plugin.settled()
    await plugin.stop()
    await equal()
  })

  it('lifts the document clock over versions above it: what workers wrote was taken for older (rule 11)', async () => {
    const future = await stored('90') + 3_600_000_000_000
    for (const id of ['90', '91']) await tamper(id, { title: `book ${id}`, author: 'ann' }, future)
    await tamper('9998', { title: 'of a row that was lost', author: null }, future + 5)
    await write(core, [{ id: 90, title: 'changed' }])
    await process(core, await serve(core, version))
    expect((await titles(core, index()))['90'], 'the worker had its 409').to.equal('book 90')
    const error = await failing()
    expect(error.message).to.contain('1 different, 1 extra, 3 above the document clock')
    const lines: string[] = []
    const [result] = await verify({ repair: true, onLine: (line) => void lines.push(line) })
    expect(result).to.deep.include({ lifted: true, ahead: 0, repaired: { ...none, different: 1, extra: 1 } })
    expect(lines.join('\n')).to.contain('the document clock was lifted')
    await equal()
    // Number 91 was the same all the time: its next change has to count too.
    await write(core, [{ id: 91, title: 'changed later' }])
    await process(core, await serve(core, version))
    await equal()
  })

  it('begins anew after the clock was lifted: a change that was taken for older meanwhile is found', async () => {
    const future = await stored('110') + 7_200_000_000_000
    await tamper('110', { title: 'book 110', author: 'ann' }, future)
    let changed = false
    // Between the comparison of its page and the lifting, a worker writes with a number that is too low.
    const clock = {
      before: async () => {
        changed = true
        await core.sql('DELETE FROM books WHERE id = 110')
        await capture(core.db, 'public.books', [110])
        await process(core, await serve(core, version))
      },
    }
    const db = {
      ...core.db,
      query: async (sql: string, values?: readonly unknown[]) => {
        if (!changed && /SET n = greatest\(n, \$1/.test(sql)) await clock.before()
        return await core.db.query<never>(sql, values)
      },
    }
    await pluginOf(core, { db }).versions.verify([], { repair: true })
    expect(changed).to.equal(true)
    await equal()
  })

  it('tells why no document can be made', async () => {
    await write(core, [{ id: 80, title: 'unmakable at all' }])
    const impatient = pluginOf(core, { config: { maxAttempts: 1 } })
    const error = await rejection(impatient.versions.verify([], { repair: true }))
    expect(error.message).to.contain('80: no document can be made of its row: unmakable at all')
    await write(core, [{ id: 80, title: 'makable' }])
    await verify()
  })

  it('repairs thousands, in parts', async () => {
    await core.sql(`INSERT INTO books (id, title) SELECT n, 'late ' || n FROM generate_series(10001, 12200) n`)
    const found: number[] = []
    for await (const part of differences(comparison({ contents: false }), { onPage: () => Promise.resolve() })) {
      found.push(part.found.length)
    }
    expect(found.length).to.be.greaterThan(1)
    expect(found.reduce((sum, each) => sum + each, 0)).to.equal(2_200)
    expect((await verify({ repair: true }))[0]).to.deep.include({ repaired: { ...none, missing: 2_200 } })
    await equal()
  })

  it('stops at the signal', async () => {
    const stop = new AbortController()
    const search = watchSearch(core.search, ({ path }) => void (path.endsWith('_mget') && stop.abort()))
    const error = await rejection(pluginOf(core, { search }).versions.verify([], { signal: stop.signal }))
    expect(error.code).to.equal('STOPPED')
  })

  it('takes nothing for a difference where a sample is stopped before the queue was drained', async () => {
    await core.sql(`UPDATE books SET title = 'on its way' WHERE id = 1`)
    await capture(core.db, 'public.books', [1])
    const signal = AbortSignal.abort()
    expect((await rejection(verify({ sample: 10, signal }))).code).to.equal('STOPPED')
  })

  // Behind the documents there is a checkpoint; it stops among the rows.
  const stopped = async () => {
    const stop = new AbortController()
    const { count } = await core.client.count({ index: index() })
    const off = plugin.on('verify:page:complete', ({ total }) => void (total > count && stop.abort()))
    const error = await rejection(verify({ signal: stop.signal })).finally(off)
    expect(error.code).to.equal('STOPPED')
  }
  const toldBy = async (options: VerifyOptions = {}) => {
    const lines: string[] = []
    const [result] = await verify({ ...options, onLine: (line) => void lines.push(line) })
    return { goesOn: lines.some((each) => each.includes('goes on where')), result: result! }
  }

  it('goes on with one that was stopped, once: the next one compares all', async () => {
    await stopped()
    expect((await toldBy()).goesOn).to.equal(true)
    await core.sql('DELETE FROM books WHERE id = 2')
    expect((await failing()).message).to.contain('2: has a document but no row')
  })

  it('does not go on with one that was stopped before a repair: what that found is mended', async () => {
    await stopped()
    await verify({ repair: true })
    const { goesOn, result } = await toldBy()
    expect(goesOn).to.equal(false)
    expect(result.remaining).to.deep.equal(none)
  })

  it('refuses names of nothing, and versions whose definition this code does not have', async () => {
    expect((await rejection(plugin.versions.verify(['nothing']))).code).to.equal('VERSION_UNKNOWN')
    const other = pluginOf(core, { config: { indexes: [defineBooks('other')] } })
    expect((await rejection(other.versions.verify(['books@1']))).code).to.equal('DEFINITION_UNKNOWN')
    const lines: string[] = []
    expect(await other.versions.verify([], { onLine: (line) => void lines.push(line) })).to.eql([])
    expect(lines.join()).to.contain(`${version.physical}: left out`)
  })

  it('is on record, with what it found', async () => {
    const actions = await plugin.log(100)
    const repair = actions.find((each) => each.action === 'es:verify --repair' && /2200 missing/.test(each.log))
    expect(repair).to.include({ state: 'complete' })
    const failed = actions.filter((each) => each.action === 'es:verify' && /VERIFY_FAILED/.test(each.error ?? ''))
    expect(failed.map((each) => each.state)).to.include('aborted')
  })
})
