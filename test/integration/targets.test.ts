import { expect } from 'chai'
import { findTargets, type TargetOptions } from '../../src/search/targets.ts'
import { registerVersion, type VersionState } from '../../src/search/versions.ts'
import { type Core, createCore } from '../support/core.ts'
import { rejection } from '../support/rejection.ts'

describe('targets', () => {
  let core: Core
  before(async () => {
    core = await createCore()
    const made: [prefix: string, name: string, states: VersionState[]][] = [
      ['', 'books', ['retired', 'active', 'ready', 'dropped']],
      ['', 'e-books-2', ['retired', 'active']],
      ['', 'movies', ['created']],
      ['', 'books-3', ['active']],
      ['b_', 'books', ['active']],
    ]
    for (const [prefix, name, states] of made) {
      for (const state of states) {
        const definition = { mappings: {}, settings: {}, revision: null }
        const given = { prefix, name, hash: 'h', definition, dependencies: [], tag: null }
        const { id } = await registerVersion(core.store, given)
        await core.sql(
          `UPDATE elastic_umzug.index_versions SET state = $2, dropped_at = CASE WHEN $2 = 'dropped' THEN now() END WHERE id = $1`,
          [id, state],
        )
      }
    }
  })
  after(() => core.drop())

  const find = async (names: string[], options: TargetOptions = {}, prefix = '') =>
    (await findTargets({ store: core.store, prefix }, names, options)).map((each) => `${each.index}@${each.number}`)
  const refused = async (names: string[], options: TargetOptions = {}) => {
    const error = await rejection(find(names, options))
    expect(error.next, error.message).to.match(/./)
    return `${error.code}: ${error.message}`
  }

  it('are the active version of a name, name@N, or a physical name; each once, in order', async () => {
    expect(await find(['books'])).to.deep.equal(['books@2'])
    expect(await find(['books@3', 'books-1', 'books@1'])).to.deep.equal(['books@1', 'books@3'])
    expect(await find(['e-books-2', 'e-books-2-1'])).to.deep.equal(['e-books-2@1', 'e-books-2@2'])
    expect(await find(['e-books-2@1'])).to.deep.equal(['e-books-2@1'])
  })

  it('are chosen by --all, --all-active, --latest, --older and --newer', async () => {
    expect(await find([], { allActive: true })).to.deep.equal(['books@2', 'books-3@1', 'e-books-2@2'])
    expect(await find(['books'], { latest: true })).to.deep.equal(['books@3'])
    expect(await find(['books'], { older: true })).to.deep.equal(['books@1'])
    expect(await find(['books@3'], { older: true })).to.deep.equal(['books@1', 'books@2'])
    expect(await find(['books-1'], { newer: true })).to.deep.equal(['books@2', 'books@3'])
    expect(await find(['movies'], { newer: true }), 'nothing is active').to.deep.equal(['movies@1'])
    expect(await find([], { all: true, older: true })).to.deep.equal(['books@1', 'e-books-2@1'])
    expect(await find([])).to.deep.equal([])
  })

  it('are those of one prefix', async () => {
    expect(await find(['books'], {}, 'b_')).to.deep.equal(['books@1'])
    expect(await find(['b_books-1'], {}, 'b_')).to.deep.equal(['books@1'])
    expect(await refused(['b_books-1'])).to.match(
      /VERSION_UNKNOWN: b_books-1 was made with prefix "b_".*\n.*--prefix b_/,
    )
  })

  it('case 9: a number of another index, an unknown one, no hyphen: told, with the versions there are', async () => {
    expect(await refused(['movies-5'])).to.match(/VERSION_UNKNOWN: .*"movies-5"; there are: movies@1\./)
    expect(await refused(['movies@2'])).to.match(/VERSION_UNKNOWN: .*"movies@2"; there are: movies@1\./)
    expect(await refused(['books@99'])).to.match(/there are: books@1, books@2, books@3\./)
    expect(await refused(['nothing'])).to.match(/VERSION_UNKNOWN: .*"nothing"; there are: books@1, .*movies@1\./)
    expect(await refused([''])).to.match(/VERSION_UNKNOWN/)
    expect(await refused(['books@4'])).to.match(/VERSION_UNKNOWN: books-4 was dropped on 20.*\n.*es:list --dropped/)
    expect(await refused(['movies'])).to.match(/VERSION_NOT_READY: No version of index "movies" is active/)
  })

  it('are not guessed where a name stands for two, or options contradict', async () => {
    expect(await refused(['books-3'])).to.match(
      /COMMAND_INVALID: .*version 3 of index "books", and an index.*\n.*books@3, or books-3@N/,
    )
    expect(await find(['books-3@1'])).to.deep.equal(['books-3@1'])
    expect(await refused(['books'], { all: true })).to.match(/COMMAND_INVALID: --all and names/)
    expect(await refused(['books'], { older: true, latest: true })).to.match(/COMMAND_INVALID: --latest and --older/)
    expect(await refused([], { all: true, allActive: true })).to.match(/COMMAND_INVALID: --all and --all-active/)
  })
})
