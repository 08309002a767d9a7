import { expect } from 'chai'
import { DataTypes, type Model, type ModelStatic, Op } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/index.ts'
import type { ElasticUmzug } from '../../src/plugin.ts'
import type { UpdateOptions } from '../../src/commands/update.ts'
import { defineIndex, type Definition } from '../../src/search/definition.ts'
import type { SearchRequest } from '../../src/ports.ts'
import type { ActionRow, LogFilter } from '../../src/store/action-log.ts'
import { type Core, createCore, watchSearch } from '../support/core.ts'
import { pluginOf } from '../support/plugin.ts'
import { rejection } from '../support/rejection.ts'

const films = 60

describe('es:update', function () {
  this.timeout(120_000)
  let core: Core
  let Film: ModelStatic<Model>
  let lines: string[] = []

  const define = (revision: string, name = 'films', options: object = {}): Definition =>
    defineIndex({
      name,
      revision,
      mappings: { dynamic: 'strict', properties: { id: { type: 'integer' }, title: { type: 'keyword' } } },
      source: fromModel(Film, { attributes: ['id', 'title'], ...options }),
    })
  const plugin = (...indexes: Definition[]): ElasticUmzug => pluginOf(core, { config: { indexes, maxAttempts: 2 } })
  const update = async (search: ElasticUmzug, names: string[] = [], options: UpdateOptions = {}) => {
    lines = []
    return await search.versions.update(names, { onLine: (line) => void lines.push(line), ...options })
  }
  const titles = async (number: number, name = 'films') => {
    const index = `${core.world.prefix}${name}-${number}`
    await core.client.indices.refresh({ index })
    const found = await core.client.search<{ title: string }>({ index, size: 1_000, sort: 'id' })
    return Object.fromEntries(found.hits.hits.map((each) => [each._id!, each._source!.title]))
  }
  const newest = async (search: ElasticUmzug) => {
    const [action] = await search.log(1)
    return await search.logOf(action!.id)
  }

  before(async () => {
    core = await createCore()
    await core.sql(
      `CREATE TABLE films (id int PRIMARY KEY, title text, pages int, created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz)`,
    )
    await core.sql(`INSERT INTO films (id, title, pages, updated_at)
      SELECT n, 'film ' || n, n, now() - interval '1 day' FROM generate_series(1, ${films}) n`)
    Film = core.world.sequelize.define('Film', {
      id: { type: DataTypes.INTEGER, primaryKey: true },
      title: DataTypes.TEXT,
      pages: DataTypes.INTEGER,
    }, { tableName: 'films', underscored: true, paranoid: true })
    await update(plugin(define('1')))
    await plugin(define('1')).versions.activate()
  })
  after(() => core.drop())

  it('of a version that is not complete is a part of the command, with its rows counted', async () => {
    const action = await newest(plugin(define('1')))
    const [update] = await plugin(define('1')).log({ command: 'es:update' })
    expect(update).to.include({ action: 'es:update', state: 'complete' })
    expect(update!.counts).to.deep.equal({ documents: films })
    expect(action.action).to.equal('es:activate')
    const { parts } = await plugin(define('1')).logOf(update!.id)
    expect(parts.map(({ target, state, counts }) => ({ target, state, counts }))).to.deep.equal([
      { target: `${core.world.prefix}films-1`, state: 'complete', counts: { documents: films } },
    ])
  })

  it('of a complete one writes every row anew and removes documents without a row, in small pages', async () => {
    await core.sql(`UPDATE films SET title = 'anew' WHERE id = 7`)
    await core.sql(`DELETE FROM films WHERE id IN (8, 9)`)
    const [version] = await update(plugin(define('1')), ['films'], { batchSize: 10 })
    expect(version).to.include({ number: 1, state: 'active' })
    const now = await titles(1)
    expect(now).to.include({ 7: 'anew', 10: 'film 10' }).and.not.have.any.keys('8', '9')
    expect(Object.keys(now)).to.have.length(films - 2)
    const action = await newest(plugin(define('1')))
    expect(action.counts).to.deep.equal({ attempted: films, documents: films })
    expect(action.options).to.deep.equal({ batchSize: 10 })
    expect(await core.sql('SELECT FROM elastic_umzug.pending')).to.deep.equal([])
  })

  it('since last writes what was changed since, also what only was marked as deleted', async () => {
    await core.sql(`UPDATE films SET title = 'unseen' WHERE id = 1`)
    await core.sql(`UPDATE films SET title = 'seen', updated_at = now() WHERE id = 2`)
    await core.sql(`UPDATE films SET deleted_at = now() WHERE id = 3`)
    await update(plugin(define('1')), ['films'], { since: 'last' })
    expect(await titles(1)).to.include({ 1: 'film 1', 2: 'seen' }).and.not.have.any.keys('3')
    expect((await newest(plugin(define('1')))).counts).to.deep.equal({ attempted: 2, documents: 2 })
  })

  it('case 5: since last does not miss what was written while the last one ran, nor what was committed after it', async () => {
    const late = await core.db.connect()
    await late.query('BEGIN')
    await late.query(`UPDATE films SET title = 'late', updated_at = now() WHERE id = 4`)
    // Read before the row is changed, and ended long before that is committed.
    await update(plugin(define('1')), ['films'], { since: 'last' })
    await core.sql('SELECT pg_sleep(0.05)')
    await late.query('COMMIT')
    await late.close()
    await update(plugin(define('1')), ['films'], { since: 'last' })
    expect(await titles(1)).to.include({ 4: 'late' })
  })

  it('since a date writes what was changed since', async () => {
    await core.sql(`UPDATE films SET title = 'old', updated_at = '2020-01-01' WHERE id = 20`)
    await core.sql(`UPDATE films SET title = 'middle', updated_at = '2021-01-01' WHERE id = 21`)
    await update(plugin(define('1')), ['films'], { since: '2020-06-01', where: { id: { [Op.between]: [20, 29] } } })
    expect(await titles(1)).to.include({ 20: 'film 20', 21: 'middle' })
    await update(plugin(define('1')), ['films'], { since: new Date('2019-01-01T00:00:00Z'), where: { id: 20 } })
    expect(await titles(1)).to.include({ 20: 'old' })
  })

  it('where a condition is met, and by ids', async () => {
    await core.sql(`UPDATE films SET title = 'chosen' WHERE id BETWEEN 30 AND 33`)
    await update(plugin(define('1')), ['films'], { where: { pages: { $gt: 30, $lte: 32 }, title: 'chosen' } })
    expect(await titles(1)).to.include({ 30: 'film 30', 31: 'chosen', 32: 'chosen', 33: 'film 33' })
    await core.sql('DELETE FROM films WHERE id = 30')
    await update(plugin(define('1')), ['films@1'], { ids: ['30', '33', 'none'] })
    expect(await titles(1)).to.include({ 33: 'chosen' }).and.not.have.any.keys('30')
  })

  it('names by an updatedAt of its own, and by what was captured without one', async () => {
    await core.sql(`UPDATE films SET created_at = '2030-01-01', title = 'by created' WHERE id = 40`)
    const named = define('1', 'films', { updatedAt: 'createdAt' })
    await update(plugin(named), ['films'], { since: '2029-01-01' })
    expect(await titles(1)).to.include({ 40: 'by created' })
    const model = core.world.sequelize.define('Bare', { title: DataTypes.TEXT }, {
      tableName: 'films',
      timestamps: false,
    })
    const bare = defineIndex({ ...define('1'), source: fromModel(model as ModelStatic<Model>) })
    await update(plugin(bare), ['films'], { since: '2029-01-01' })
    expect(lines.join('\n')).to.include('no `updatedAt`: what was captured')
    const error = await rejection(update(plugin(bare), ['films'], { since: '2029-01-01', where: { id: 1 } }))
    expect(error).to.include({ code: 'COMMAND_INVALID' })
  })

  it('case 4: newer fills the versions after the active one only', async () => {
    const second = define('2')
    await plugin(second).versions.create(['films'])
    const lost = plugin(define('1')).versions.update([], { newer: true })
    expect(await rejection(lost)).to.include({ code: 'DEFINITION_UNKNOWN' }).and.property('message').include('films-2')
    await core.sql(`UPDATE films SET title = 'newer' WHERE id = 50`)
    const both = plugin(second)
    const versions = await update(both, ['films'], { newer: true })
    expect(versions.map(({ physical, state }) => ({ physical, state }))).to.deep.equal([
      { physical: `${core.world.prefix}films-2`, state: 'ready' },
    ])
    const rows = Number(
      (await core.sql<{ n: number }>('SELECT count(*)::int AS n FROM films WHERE deleted_at IS NULL'))[0]!.n,
    )
    const action = await newest(both)
    expect(action).to.include({ target: 'films', state: 'complete' })
    expect(action.counts).to.deep.equal({ documents: rows })
    expect(action.parts.map((each) => each.target)).to.deep.equal([`${core.world.prefix}films-2`])
    expect(await titles(1)).to.include({ 50: 'film 50' })
    expect(await titles(2)).to.include({ 50: 'newer' })
  })

  it('case 8: of two indexes leaves two histories', async () => {
    const two = plugin(define('2'), define('1', 'shorts'))
    await update(two)
    const action = await newest(two)
    expect(action.parts.map(({ target, state }) => ({ target, state }))).to.deep.equal([
      { target: `${core.world.prefix}films-2`, state: 'complete' },
      { target: `${core.world.prefix}shorts-1`, state: 'complete' },
    ])
    const sum = action.parts.reduce((all, each) => all + each.counts.documents!, 0)
    expect(action.counts.documents).to.equal(sum)
    expect((await two.log({ index: 'shorts' })).map((each) => each.id)).to.deep.equal([action.id])
  })

  it('case 6: a part that fails makes the whole fail; the others are brought up to date', async () => {
    const two = plugin(define('2'), define('1', 'shorts'))
    const index = `${core.world.prefix}films-2`
    await core.sql(`UPDATE films SET title = repeat('x', 40000) WHERE id = 12`)
    await core.sql(`UPDATE films SET title = 'fine' WHERE id = 13`)
    const error = await rejection(update(two)) as Error
    expect(error).to.include({ code: 'DOCUMENT_REFUSED' })
    expect(error.message).to.include('2 of 2 updates failed').and.include(index)
    const action = await newest(two)
    expect(action.state).to.equal('aborted')
    expect(action.parts.map((each) => each.state)).to.deep.equal(['aborted', 'aborted'])
    expect(action.counts).to.include({ failed: 2 })
    expect(action.counts.attempted).to.equal(action.counts.documents! + 2)
    expect(await titles(1, 'shorts')).to.include({ 13: 'fine' })
  })

  it('case 5: the next one picks up what failed', async () => {
    await core.sql(`UPDATE films SET title = 'short' WHERE id = 12`)
    const two = plugin(define('2'), define('1', 'shorts'))
    await update(two, [], { since: 'last' })
    expect(await titles(2)).to.include({ 12: 'short', 13: 'fine' })
    expect(await titles(1, 'shorts')).to.include({ 12: 'short' })
    expect((await newest(two)).state).to.equal('complete')
  })

  it('case 7: what the cluster could not take at first is written all the same, nothing twice', async () => {
    const answers = [503, 429, 500]
    const refuse = ({ path }: SearchRequest) => {
      if (!path.includes('_bulk') || answers.length === 0) return undefined
      return { status: answers.shift()!, body: { error: { reason: 'not now' } } }
    }
    const third = define('3')
    const search = pluginOf(core, {
      config: { indexes: [third], leaseMs: 1_500 },
      search: watchSearch(core.search, refuse),
    })
    await update(search)
    expect(answers).to.deep.equal([])
    const rows = Number(
      (await core.sql<{ n: number }>('SELECT count(*)::int AS n FROM films WHERE deleted_at IS NULL'))[0]!.n,
    )
    expect(Object.keys(await titles(3))).to.have.length(rows)
    expect((await newest(search)).counts).to.deep.equal({ documents: rows })
  })

  it('stopped, is gone on with from its checkpoint by the next one for the same rows', async () => {
    const search = plugin(define('1'))
    const stop = new AbortController()
    const off = search.on('update:page:complete', ({ total }) => total >= 20 && stop.abort())
    expect(await rejection(update(search, ['films'], { batchSize: 10, signal: stop.signal }))).to.include({
      code: 'STOPPED',
    })
    off()
    const first = (await newest(search)).counts.attempted!
    expect(first).to.be.within(20, 40)
    await core.sql(`UPDATE films SET title = 'behind' WHERE id = 59`)
    await update(search, ['films'], { batchSize: 10 })
    expect(lines.join('\n')).to.match(/goes on where action \d+ stopped, after \d+ rows/)
    const { counts } = await newest(search)
    const rows = Number((await core.sql<{ n: number }>('SELECT count(*)::int AS n FROM films'))[0]!.n)
    expect(first + counts.attempted!).to.equal(rows)
    expect(await titles(1)).to.include({ 59: 'behind' })
    await update(search, ['films'])
    expect(lines.join('\n')).not.to.include('goes on')
  })

  it('refuses what it does not understand, before it does anything', async () => {
    const search = plugin(define('1'))
    const before = (await search.log(1))[0]!.id
    const refused: [string[], UpdateOptions, RegExp][] = [
      [['films'], { since: 'yesterday or so' }, /"yesterday or so" is no date/],
      [['films'], { ids: ['1'], since: 'last' }, /--ids names the rows/],
      [['films'], { ids: [] }, /--ids names no row/],
      [['films'], { where: 'id = 1' }, /no condition/],
      [['films'], { batchSize: 0 }, /--batch-size is 0/],
      [['films'], { rate: Number.NaN }, /--rate is NaN/],
      [['films'], { latest: true, newer: true }, /--latest and --newer/],
    ]
    for (const [names, options, message] of refused) {
      const error = await rejection(update(search, names, options)) as Error
      expect(error).to.include({ code: 'COMMAND_INVALID' })
      expect(error.message).to.match(message)
    }
    expect(await rejection(update(search, ['nothing']))).to.include({ code: 'DEFINITION_UNKNOWN' })
    expect(await rejection(update(search, ['films@77']))).to.include({ code: 'VERSION_UNKNOWN' })
    expect((await search.log(1))[0]!.id).to.equal(before)
    for (
      const [where, message] of [
        [{ nothing: 1 }, /no attribute "nothing"/],
        [{ pages: { $greater: 1 } }, /"\$greater" is no operator/],
        [{ pages: 'many' }, /invalid input syntax/],
      ] as const
    ) {
      const error = await rejection(update(search, ['films'], { where })) as Error
      expect(error).to.include({ code: 'COMMAND_INVALID' })
      expect(error.message).to.match(message).and.include('next: ')
    }
  })

  it('the log chooses by command, index, state, time and number', async () => {
    const search = plugin(define('1'))
    const all = await search.log()
    expect(all.every((each) => each.parentId === null)).to.equal(true)
    const ids = async (filter: LogFilter) => (await search.log(filter)).map((each) => each.id)
    const some = (choose: (each: ActionRow) => boolean) => all.filter(choose).map((each) => each.id)
    expect(await ids({ command: 'es:activate' })).to.deep.equal(some((each) => each.action === 'es:activate'))
    expect(await ids({ status: 'aborted' })).to.deep.equal(some((each) => each.state === 'aborted')).and.not.have
      .length(0)
    expect(await ids({ index: 'shorts' })).to.have.length(3)
    expect(await ids({ index: `${core.world.prefix}shorts-1` })).to.have.length(3)
    expect(await ids({ since: '2100-01-01' })).to.deep.equal([])
    expect(await ids({ since: all[2]!.startedAt! })).to.deep.equal(all.slice(0, 3).map((each) => each.id))
    expect(await ids({ after: all[1]!.id })).to.deep.equal([all[0]!.id])
    expect(await search.log(2)).to.have.length(2)
    expect(await rejection(search.log({ since: 'long ago' }))).to.include({ code: 'COMMAND_INVALID' })
    expect(await rejection(search.logOf('0'))).to.include({ code: 'ACTION_UNKNOWN' })
  })

  it('chooses rows of a complete version only', async () => {
    const error = await rejection(update(plugin(define('9')), ['films'], { ids: ['1'] }))
    expect(error).to.include({ code: 'VERSION_NOT_READY', next: 'npx umzug es:update films' })
  })

  it('a dry run tells versions and rows', async () => {
    const search = plugin(define('1'), define('9', 'other'))
    await update(search, [], { dryRun: true })
    expect(lines[0]).to.match(/films-1: active, would be updated: \d+ rows/)
    expect(lines[1]).to.match(/a new version of \w+other: would be created, populated with \d+ rows/)
    await update(search, ['films'], { dryRun: true, ids: ['1', '2'] })
    expect(lines).to.have.length(1)
    expect(lines[0]).to.include('would be updated: 2 rows')
  })
})
