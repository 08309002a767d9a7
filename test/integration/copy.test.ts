import { expect } from 'chai'
import { monotonicClock } from '../../adapters/clock.ts'
import type { SearchRequest, Source } from '../../src/ports.ts'
import { activateVersion } from '../../src/search/activate.ts'
import { defineIndex, type Definition } from '../../src/search/definition.ts'
import { createVersion, fillVersion, type LifecycleDeps } from '../../src/search/lifecycle.ts'
import { readVersion, type Version } from '../../src/search/versions.ts'
import {
  type Core,
  createCore,
  dispatchAll,
  forgetDeletes,
  process,
  readyVersion,
  remove,
  rowTitles,
  serve,
  titles,
  watchSearch,
  watchStore,
  write,
} from '../support/core.ts'
import { rejection } from '../support/rejection.ts'
import { bookMappings, bookSource } from '../support/simple_source.ts'
import { waitFor } from '../support/world.ts'

describe('a version filled by a copy inside the cluster', function () {
  this.timeout(60_000)
  let core: Core
  let counter = 0

  before(async () => core = await createCore())
  after(() => core?.drop())
  afterEach(async () => {
    core.lines.length = 0
    await core.sql(`TRUNCATE elastic_umzug.index_versions, elastic_umzug.changes, elastic_umzug.pending,
      elastic_umzug.populate_ranges, elastic_umzug.populate_deletes, books, authors`)
  })

  const wasCopied = () => expect(core.lines.slice(-4).join('\n')).to.contain(': copying').and.not.contain('populating')

  const source = (): Source => ({ ...bookSource(), making: () => Promise.resolve('books') })

  const define = (name: string, changes: Partial<Definition> = {}) =>
    defineIndex({ name, mappings: bookMappings, source: source(), ...changes })

  const analysed = {
    ...bookMappings,
    properties: { ...bookMappings.properties, title: { type: 'text', analyzer: 'english' } },
  }

  /** An active version of the rows there are, and the definition of the next one. */
  async function active(): Promise<{ from: Version; old: Definition; next: Definition }> {
    const name = `copied${++counter}`
    const old = define(name)
    const from = await readyVersion(core, old)
    await activateVersion(core.lifecycle({ definitions: [old] }), from)
    return { from: await readVersion(core.store, from.id), old, next: define(name, { mappings: analysed }) }
  }

  async function rows(count: number): Promise<void> {
    await core.sql('INSERT INTO books SELECT n, $2 || n FROM generate_series(1, $1::int) n', [count, 'title '])
  }

  function deps(definitions: Definition[], changes: Partial<LifecycleDeps> = {}): LifecycleDeps {
    return { ...core.lifecycle({ definitions, ...changes }), ...changes }
  }

  async function fill(definitions: Definition[], changes: Partial<LifecycleDeps> = {}): Promise<Version> {
    const given = deps(definitions, changes)
    const next = definitions[0]!
    return await fillVersion(given, await createVersion(given, next), next)
  }

  const versions = async (index: string) => {
    await core.client.indices.refresh({ index })
    const found = await core.client.search({ index, size: 10_000, version: true })
    return Object.fromEntries(found.hits.hits.map((each) => [each._id, each._version]))
  }

  it('has the documents and their versions, and no row was read', async () => {
    await rows(300)
    const { from, old, next } = await active()
    await write(core, [{ id: 7, title: 'changed' }])
    const version = await fill([next, old])
    expect(version.state).to.equal('ready')
    wasCopied()
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
    const [copied, before] = [await versions(version.physical), await versions(from.physical)]
    expect(copied[8]).to.equal(before[8])
    expect(copied).to.have.property('7')
    expect(core.lines).to.include(`${version.physical}: copying ${from.physical}, 300 rows`)
  })

  it('copies nothing before what was dispatched to the other version alone is in it', async () => {
    await rows(20)
    const { old, next } = await active()
    await write(core, [{ id: 7, title: 'changed' }])
    await remove(core, [8])
    await dispatchAll(core)
    const version = await fill([next, old])
    wasCopied()
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
  })

  it('waits for a dispatch under way that does not see the new version', async () => {
    await rows(20)
    const { old, next } = await active()
    await write(core, [{ id: 7, title: 'changed' }])
    const version = await createVersion(deps([next, old]), next)
    let isOver = false
    let filling: Promise<unknown> | undefined
    await core.db.transaction(async (tx) => {
      // What a dispatch does whose list of versions is older: it has the lock, and enqueues for the other one alone.
      await tx.query(
        `SELECT pg_advisory_xact_lock(${(await import('../../src/store/dispatch.ts')).dispatchLock(core.store)})`,
      )
      await tx.query('DELETE FROM elastic_umzug.changes')
      filling = fillVersion(deps([next, old]), version, next).finally(() => isOver = true)
      await monotonicClock.sleep(300)
      expect(isOver).to.equal(false)
      await tx.query(
        `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change)
         SELECT id, '7', 0 FROM elastic_umzug.index_versions WHERE state = 'active' AND physical LIKE $1`,
        [`%copied${counter}-1`],
      )
    })
    await filling
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
  })

  it('holds what is written and deleted meanwhile, also what the cluster has forgotten', async () => {
    await rows(1_800)
    const { old, next } = await active()
    const definitions = [next, old]
    const filling = fill(definitions, { load: { batchSize: 100, rate: 400 } })
    const version = await waitFor(async () => {
      const [row] = await core.sql<{ id: string }>(
        'SELECT version_id AS id FROM elastic_umzug.populate_ranges WHERE task IS NOT NULL',
      )
      return row && await serve(core, { id: row.id } as Version, next)
    })
    const ids = (from: number) => Array.from({ length: 20 }, (_, at) => from + at * 90)
    await write(core, ids(1).map((id) => ({ id, title: `w${id}` })))
    await remove(core, ids(2))
    await process(core, version!)
    await forgetDeletes(core, version!.version.physical)
    await write(core, [...ids(3), ...ids(3_000)].map((id) => ({ id, title: `x${id}` })))
    await remove(core, ids(4))
    const filled = await filling
    await process(core, version!)
    expect(await titles(core, filled.physical)).to.eql(await rowTitles(core))
  })

  it('goes on with the task that a killed run left, and starts no other', async () => {
    await rows(600)
    const { old, next } = await active()
    const starts: SearchRequest[] = []
    const search = watchSearch(core.search, (request) => void (request.path === '/_reindex' && starts.push(request)))
    let isDead = false
    const store = watchStore(core.store, {
      before: () => {
        if (isDead) throw new Error('killed')
      },
    })
    const slow = { load: { batchSize: 50, rate: 200 }, search, leaseMs: 2_000 }
    const killed = fill([next, old], { ...slow, store }).catch(() => {})
    await waitFor(async () => (await core.sql('SELECT FROM elastic_umzug.populate_ranges WHERE task IS NOT NULL'))[0])
    isDead = true
    await killed
    const version = await fill([next, old], slow)
    expect(starts).to.have.length(1)
    wasCopied()
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
  })

  it('ends a copy of which nobody got the answer before it goes on', async () => {
    await rows(600)
    const { old, next } = await active()
    let starts = 0
    const search = watchSearch(core.search, async (request) => {
      if (request.path !== '/_reindex' || starts++ > 0) return
      const { NoAnswerError } = await import('../../src/errors.ts')
      await core.search.request({ ...request, query: { ...request.query, requests_per_second: 20 } })
      throw new NoAnswerError('lost', true)
    })
    const version = await fill([next, old], { search, leaseMs: 1_000, load: { batchSize: 50 } })
    expect(starts).to.equal(2)
    const { nodes = {} } = await core.client.tasks.list({ actions: '*reindex', detailed: true })
    const tasks = Object.values(nodes).flatMap((each) => Object.values(each.tasks ?? {}))
    expect(tasks.filter((each) => each.description?.includes(version.physical))).to.eql([])
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
  })

  it('stops at the signal, leaves no task, and is gone on with', async () => {
    await rows(600)
    const { old, next } = await active()
    const stop = new AbortController()
    const filling = fill([next, old], { signal: stop.signal, load: { batchSize: 50, rate: 200 } })
    await waitFor(async () => (await core.sql('SELECT FROM elastic_umzug.populate_ranges WHERE task IS NOT NULL'))[0])
    stop.abort()
    expect(await rejection(filling)).to.include({ code: 'STOPPED' })
    expect(await core.sql('SELECT FROM elastic_umzug.populate_ranges WHERE task IS NOT NULL')).to.eql([])
    const version = await fill([next, old])
    wasCopied()
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
  })

  it('reads rows where the documents are made in another way, and refuses where a copy is asked for', async () => {
    await rows(5)
    const { old, next } = await active()
    const other: Definition = { ...next, source: { ...next.source, making: () => Promise.resolve('other') } }
    const error = await rejection(fill([other, old], { copy: true }))
    expect(error).to.include({ code: 'VERSION_NOT_READY' })
    expect(error.message).to.contain('its documents are made in another way')
    const version = await fill([other, old])
    expect(core.lines.join('\n')).to.contain(`${version.physical}: populating`)
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
  })

  it('refuses another revision, a source that is not stored as sent, aborted documents, and no active version', async () => {
    await rows(5)
    const { from, old, next } = await active()
    const refusal = async (definition: Definition) => (await rejection(fill([definition, old], { copy: true }))).message
    expect(await refusal(define(next.name, { mappings: analysed, revision: 'two' }))).to.contain('another revision')
    expect(await refusal(define(`${next.name}x`))).to.contain('no version of it is active')
    await core.sql(
      `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change, due_at, aborted_at) VALUES ($1, '3', 0, 'infinity', now())`,
      [from.id],
    )
    expect(await refusal(next)).to.contain('1 aborted documents')
    await core.sql('DELETE FROM elastic_umzug.pending')
    await core.sql(
      `UPDATE elastic_umzug.index_versions SET definition = jsonb_set(definition, '{mappings,_source}', '{"excludes": ["x"]}') WHERE id = $1`,
      [from.id],
    )
    expect(await refusal(next)).to.contain('as they were sent')
  })

  it('reads rows after all where the copied version turns out to differ from them', async () => {
    await rows(50)
    const { from, old, next } = await active()
    await core.sql(`UPDATE books SET title = 'unseen' WHERE id = 3`)
    await core.client.index({ index: from.physical, id: '99', document: { title: 'no row' }, refresh: true })
    const version = await fill([next, old])
    expect(core.lines.join('\n')).to.contain(`${version.physical}: populating`)
    expect(core.lines.join('\n')).to.contain('differs from its rows, so they are read')
    expect(await titles(core, version.physical)).to.eql(await rowTitles(core))
  })

  it('names the document that the new mappings refuse', async () => {
    await rows(5)
    const { old } = await active()
    const numbers = { ...bookMappings, properties: { ...bookMappings.properties, title: { type: 'integer' } } }
    const error = await rejection(fill([define(old.name, { mappings: numbers }), old]))
    expect(error).to.include({ code: 'DOCUMENT_REFUSED' })
    expect(error.message).to.match(/document \d of .*title/)
  })
})
