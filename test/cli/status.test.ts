import { expect } from 'chai'
import { fileURLToPath } from 'node:url'
import { type Config, elasticUmzug, type Status } from '../../src/index.ts'
import { defineIndexes } from '../fixtures/library/definitions.ts'
import { defineModels } from '../fixtures/library/models.ts'
import { statusPage } from '../../src/cli/status.ts'
import { expectRefusal } from '../support/bad_input.ts'
import { createLibrary, type Library } from '../support/library.ts'
import { killTree, waitFor } from '../support/world.ts'

const folder = fileURLToPath(new URL('../fixtures/library', import.meta.url))

describe('umzug status', function () {
  this.timeout(120_000)
  let library: Library
  before(async () => void (library = await createLibrary()))
  after(() => library.drop())

  // In this process: the command itself is looked at where its output is.
  const status = async (revision = 1, more: Partial<Config> = {}): Promise<Status> => {
    const { sequelize, client, prefix } = library
    const indexes = defineIndexes(defineModels(sequelize), revision)
    const config = {
      sequelize,
      elasticsearch: client,
      prefix,
      indexes,
      migrations: 'migrations/*.{ts,cjs,sql}',
      ...more,
    }
    return await elasticUmzug(config, { folder }).status()
  }
  const wrong = ({ problems }: Status) => problems.map(({ what, next }) => `${what}; ${next}`).join('\n')

  it('before the first up: what is missing, and that up makes it; it makes nothing itself', async () => {
    const { code, stdout, stderr } = await library.cli(['status'])
    expect({ code, stderr }).to.deep.equal({ code: 1, stderr: '' })
    expect(stdout).to.match(/^1 thing is wrong\n- the own tables [^]* exist yet\n {2}next: npx umzug up\n/)
    expect(stdout).to.include('own tables missing').and.match(/^migrations: 6 pending: 2026/m)
    expect(await library.sql(`SELECT FROM pg_namespace WHERE nspname = 'elastic_umzug'`)).to.deep.equal([])
  })

  it('--check: exit code 1 and one message with the next step, also beside JSON', async () => {
    const ended = await library.cli(['status', '--check', '--json'])
    expectRefusal(ended, { code: 'STATUS_WRONG', says: ['own tables'], next: 'npx umzug up' })
    expect(JSON.parse(ended.stdout).tables.state).to.equal('missing')
  })

  it('a killed up: what was interrupted, and by whom', async () => {
    const release = await library.hold(4711)
    const child = library.start(['up'])
    await waitFor(() => library.waits(4711), { timeoutMs: 30_000 })
    const during = statusPage(await status()).join('\n')
    expect(during).to.match(new RegExp(`^runs: +up of \\S+, process ${child.pid}, since [^]*holds the run lock$`, 'm'))
    const seen = await status()
    expect(seen.runs).to.have.length(1)
    expect(seen.runs[0]).to.include({ action: 'up', state: 'in_progress', holdsRunLock: true, pid: child.pid })
    expect(wrong(seen), 'a run under way is about to mend it').not.to.match(/migration|definition/)
    await killTree(child)
    await release()
    await waitFor(async () => !await library.waits(4711))
    const after = await status()
    expect(wrong(after)).to.match(/^up \(1 in the log\) of .*, was interrupted; npx umzug up/m)
    expect(wrong(after)).to.include('1 migration is not applied').and.include('books: there is no version')
  })

  it('all is well after up, on one page of 80 columns; --check exits with 0', async () => {
    await library.done(['up'])
    const page = await library.done(['status', '--check'])
    expect(page).to.match(/^all is well\n/)
    expect(page).to.match(/books-1 +active +yes +60 +0 +0 ms +0$/m).and.match(/^runs: +none$/m)
    expect(page.split('\n').filter((line) => line.length > 80)).to.deep.equal([])
  })

  it('a cluster that is away is shown, with all that the own tables know', async () => {
    const { code, stdout } = await library.cli(['status'], { ELASTICSEARCH_URL: 'http://127.0.0.1:1' })
    expect(code).to.equal(1)
    expect(stdout).to.match(/^1 thing is wrong\n- Elasticsearch at 127.0.0.1:1 does not answer/)
    expect(stdout).to.match(/^search: +127.0.0.1:1, unreachable/m).and.match(/books-1 +active +- +-? +0/)
  })

  it('old code after a deploy is told so, and code that is not deployed yet is', async () => {
    expect(wrong(await status(2))).to.include(`books: there is no version of this code's definition`)
    expect((await library.cli(['status'], { REVISION: 2 })).code, 'something is left to do').to.equal(3)
    await library.done(['es:create', 'books'], { REVISION: 2 })
    expect(wrong(await status(2))).to.match(/books: the version of this code, \S*books-2, is created/)
  })

  it('changes that nobody takes, and documents that wait', async () => {
    await library.sql(
      `INSERT INTO elastic_umzug.changes (table_name, rows, made_at)
       VALUES ('public.nothing', '[]', clock_timestamp() - interval '2 minutes')`,
    )
    await library.sql(
      `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change, made_at)
       SELECT id, 'x', 0, clock_timestamp() - interval '90 seconds' FROM elastic_umzug.index_versions WHERE state = 'active'`,
    )
    const seen = await status()
    expect(seen.changes.changes).to.equal(1)
    expect(seen.changes.oldestMs).to.be.within(120_000, 130_000)
    expect(wrong(seen)).to.match(/nobody takes the changes that wait: 1, for 12\d s; npx umzug queue:work/)
    expect(wrong(seen)).to.match(/books-1 is 9\d s behind: 1 document waits/)
    // The end of a TRUNCATE, for a version of other code: nobody here can do anything about it.
    await library.sql(
      `INSERT INTO elastic_umzug.changes (table_name, version_id, sweep, made_at)
       SELECT 'public.nothing', id, true, clock_timestamp() - interval '2 hours' FROM elastic_umzug.index_versions`,
    )
    // A fan-out that goes on in pages: each page keeps the time of its change.
    await library.sql(
      `INSERT INTO elastic_umzug.changes (table_name, rows, version_id, dependency, cursor, made_at)
       SELECT 'public.other', '[]', id, 0, 'k', clock_timestamp() - interval '2 hours' FROM elastic_umzug.index_versions`,
    )
    expect((await status()).changes).to.deep.include({ changes: 1 })
    expect((await status()).changes.oldestMs).to.be.within(120_000, 180_000)
    const { code, stdout } = await library.cli(['status', '--check', '--max-lag-ms', '600000'])
    expect({ code }, stdout).to.deep.equal({ code: 0 })
    await library.sql(`DELETE FROM elastic_umzug.changes`)
    await library.sql(`DELETE FROM elastic_umzug.pending`)
  })

  it('how each table is captured, and that triggers are wanted that are not there', async () => {
    const page = statusPage(await status()).join('\n')
    expect(page).to.match(/^public\.authors +hooks +-$/m).and.match(/^hooks see [^]*onBypass: capture/m)
    const wanted = await status(1, { capture: { Author: 'triggers', '*': 'hooks' }, onBypass: 'error' })
    expect(wrong(wanted)).to.match(
      /^public\.authors is to be captured by triggers, and they are not there: .*; npx umzug up$/m,
    )
    expect(wanted.capture.onBypass).to.equal('error')
    await library.done(['up'], { CAPTURE: 'triggers' })
    const installed = await status(1, { capture: 'triggers' })
    expect(wrong(installed)).to.equal('')
    expect(statusPage(installed).join('\n')).to.match(/^public\.authors +triggers +current, once a statement$/m)
      .and.not.include('hooks see')
    await library.sql('ALTER TABLE authors DISABLE TRIGGER USER')
    expect(wrong(await status(1, { capture: 'triggers' }))).to.match(/authors .*by triggers, and they are disabled/)
    expect(wrong(await status()), 'hooks need none').to.equal('')
  })

  it('versions that no worker has the definition of: a problem for the active one', async () => {
    await library.sql(
      `UPDATE elastic_umzug.index_versions SET served_at = clock_timestamp() - interval '1 hour'
       WHERE physical LIKE '%books-1'`,
    )
    const seen = await status()
    const text = [...seen.problems.map((each) => each.what), ...statusPage(seen)].join(' ')
    expect(text.replace(/\s+/g, ' ')).to.match(
      /no worker has had the definition of \S+books-1 since 20\S+: 0 documents wait/,
    )
      .and.match(/books-1 \(active\): no worker has had its definition since/)
    await library.sql(`UPDATE elastic_umzug.index_versions SET served_at = clock_timestamp()`)
  })

  it('what makes it likely that rows and documents differ, and how to make them equal', async () => {
    await library.sql(
      `INSERT INTO elastic_umzug.suspicions (prefix, kind, message, version_ids)
       SELECT $1, 'database-behind', 'The database was restored to an older moment.', array_agg(id)
       FROM elastic_umzug.index_versions WHERE state = 'active'`,
      [library.prefix],
    )
    expect(wrong(await status())).to.match(
      /books-1, \S+editions-1 may differ .*restored.*; npx umzug es:verify --repair/,
    )
    await library.sql(`DELETE FROM elastic_umzug.suspicions`)
  })

  it('documents that were refused for good, a moved alias, a lost index', async () => {
    await library.sql(
      `INSERT INTO elastic_umzug.pending (version_id, key, oldest_change, due_at, aborted_at, error)
       SELECT id, 'x', 0, 'infinity', clock_timestamp(), 'why' FROM elastic_umzug.index_versions
       WHERE state = 'active' AND physical LIKE '%editions-1'`,
    )
    const [books, editions] = ['books', 'editions'].map((name) => library.physical(name, 1))
    await library.client.indices.deleteAlias({ index: books!, name: `${library.prefix}books` })
    const moved = wrong(await status())
    expect(moved).to.match(/editions-1: 1 document was refused for good; npx umzug queue:status/)
    expect(moved).to.match(/alias of books points at nothing, .*; npx umzug es:activate books@1/)
    await library.client.indices.delete({ index: editions! })
    const lost = await status()
    expect(wrong(lost)).to.match(
      /editions-1 is active, and the cluster has no such index; npx umzug es:create editions/,
    )
    expect(lost.versions.find((each) => each.index === 'editions')).to.include({ lost: true, documents: null })
  })
})
