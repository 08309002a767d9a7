import { expect } from 'chai'
import { currentRuntime } from '../../adapters/runtime.ts'
import { argumentOf, createContext } from '../../src/migrations/context.ts'
import { describeError, type Direction, migrationFailed } from '../../src/migrations/failure.ts'
import { folderOf, onlyMigrations } from '../../src/migrations/files.ts'
import { knownName, stemOf } from '../../src/migrations/names.ts'
import { chosenNames, type RunOptions } from '../../src/migrations/options.ts'
import { reportLines } from '../../src/migrations/report.ts'

describe('names of migrations', () => {
  it('are compared without the extensions that code and SQL have, and no other', () => {
    const names = ['1-a.ts', '1-a.mts', '1-a.cts', '1-a.js', '1-a.mjs', '1-a.cjs', '1-a.sql', '1-a']
    expect(new Set(names.map(stemOf))).to.deep.equal(new Set(['1-a']))
    expect(stemOf('2024.01.02T03.04.05.add-users')).to.equal('2024.01.02T03.04.05.add-users')
  })

  it('are found as given first, then by stem', () => {
    expect(knownName('1-a.js', ['1-a', '1-a.js'])).to.equal('1-a.js')
    expect(knownName('1-a.js', ['1-a.ts'])).to.equal('1-a.ts')
    expect(() => knownName('1-b', ['1-a.ts'])).to.throw(/No migration is named "1-b"/)
  })
})

describe('files of migrations', () => {
  it('are code and SQL; declarations, maps, down files and others are none', () => {
    const paths = ['/m/1.ts', '/m/2.cjs', '/m/3.sql', '/m/3.down.sql', '/m/4.sql', '/m/down/4.sql', '/m/down/5.sql']
    const others = ['/m/1.d.ts', '/m/1.d.mts', '/m/1.js.map', '/m/README.md', '/m/data.json', '/m/6.tsx']
    expect(onlyMigrations([...paths, ...others])).to.deep.equal([
      '/m/1.ts',
      '/m/2.cjs',
      '/m/3.sql',
      '/m/4.sql',
      '/m/down/5.sql',
    ])
  })

  it('begin where the pattern has its first wildcard', () => {
    const folder = (pattern: string) => folderOf(currentRuntime(), '/app', pattern)
    expect(folder('migrations/*.{ts,js}')).to.equal('/app/migrations')
    expect(folder('db/**/up/*.sql')).to.equal('/app/db')
    expect(folder('./*.ts')).to.equal('/app')
    expect(folder('*.ts')).to.equal('/app')
    expect(folder('migrations/1-only.ts')).to.equal('/app/migrations')
    expect(folder('/else/where/*.ts')).to.equal('/else/where')
  })
})

describe('the argument of a migration', () => {
  class QueryInterface {
    sequelize = { name: 'sequelize' }
    createTable() {
      return this.sequelize.name
    }
  }

  it('is the QueryInterface, whichever way it is taken', () => {
    const one = new QueryInterface()
    const sequelize = { ...one.sequelize, query() {}, getQueryInterface: () => one }
    const context = createContext(sequelize as never, { elastic: { a: 1 }, data: { b: 2 } }, {} as never)
    const argument = argumentOf(context, { name: '1-a.ts', path: '/m/1-a.ts' })
    expect(argument).to.be.instanceOf(QueryInterface)
    expect((argument as unknown as QueryInterface).createTable()).to.equal('sequelize')
    const { context: taken, name, path } = argument
    expect({ taken, name, path }).to.deep.equal({ taken: context, name: '1-a.ts', path: '/m/1-a.ts' })
    expect(taken).to.include({ elastic: context.elastic, data: context.data })
    expect(taken.sequelize.getQueryInterface()).to.equal(context)
    expect(Object.keys(one)).to.deep.equal(['sequelize'])
  })
})

describe('the choice of migrations', () => {
  const names = { all: ['1.ts', '2.ts', '3.ts', '4.ts', '5.ts'], executed: new Set(['1.ts', '3.ts', '4.ts']) }
  const up = (options: RunOptions) => chosenNames('up', options, names)
  const down = (options: RunOptions) => chosenNames('down', options, names)

  it('of `up` is what is pending, in order', () => {
    expect(up({})).to.deep.equal(['2.ts', '5.ts'])
    expect(up({ step: 1 })).to.deep.equal(['2.ts'])
    expect(up({ step: 0 })).to.deep.equal([])
    expect(up({ to: '2' })).to.deep.equal(['2.ts'])
    expect(up({ to: '3' })).to.deep.equal(['2.ts'])
    expect(up({ to: '1' })).to.deep.equal([])
    expect(up({ migrations: ['5', '2'] })).to.deep.equal(['5.ts', '2.ts'])
    expect(up({ migrations: ['1', '2'], rerun: 'SKIP' })).to.deep.equal(['2.ts'])
    expect(up({ migrations: ['1', '2'], rerun: 'ALLOW' })).to.deep.equal(['1.ts', '2.ts'])
    expect(() => up({ migrations: ['1', '2'] })).to.throw(/1\.ts is executed already/)
  })

  it('of `down` is what is executed, last first, one unless told', () => {
    expect(down({})).to.deep.equal(['4.ts'])
    expect(down({ step: 2 })).to.deep.equal(['4.ts', '3.ts'])
    expect(down({ to: '3' })).to.deep.equal(['4.ts', '3.ts'])
    expect(down({ to: 0 })).to.deep.equal(['4.ts', '3.ts', '1.ts'])
    expect(down({ migrations: ['1', '2'], rerun: 'SKIP' })).to.deep.equal(['1.ts'])
    expect(() => down({ to: '2' })).to.throw(/2\.ts is not executed/)
    expect(() => down({ migrations: ['2'] })).to.throw(/2\.ts is not executed/)
  })
})

describe('what is told before a run', () => {
  const record = { direction: 'up', checksum: 'old', startedAt: 'then', endedAt: 'later', error: null } as const
  const lines = (records: object[], executed: string[], now = 'old') =>
    reportLines({
      patterns: ['migrations/*.ts'],
      migrations: ['1.ts', '2.ts', '3.ts'].map((name) => ({ name })),
      executed,
      records: records.map((each) => ({ ...record, name: '1.ts', ...each })),
      checksums: new Map([['1.ts', now]]),
    })

  it('is nothing when there is nothing to tell', () => {
    expect(lines([{}], ['1.ts'])).to.deep.equal([])
    expect(lines([], [])).to.deep.equal([])
  })

  it('is what was interrupted, unless somebody finished it', () => {
    expect(lines([{ endedAt: null }], [])[0]).to.match(/^1\.ts was interrupted/)
    expect(lines([{ endedAt: null }], ['1.js'])).to.deep.equal([])
    expect(lines([{ endedAt: null, direction: 'down' }], ['1.ts'])[0]).to.match(/^the down of 1\.ts was interrupted/)
    expect(lines([{ endedAt: null, direction: 'down' }], [])).to.deep.equal([])
  })

  it('is what was edited since it went through', () => {
    expect(lines([{}], ['1.ts'], 'new')[0]).to.match(/^1\.ts was edited/)
    expect(lines([{ checksum: null }], ['1.ts'], 'new')).to.deep.equal([])
    expect(lines([{}], [], 'new')).to.deep.equal([])
  })

  it('is what was edited also when a later run of it failed or was interrupted, without the time of that run', () => {
    const edited = '1.ts was edited after it was executed; the edit is not in the database'
    for (const direction of ['up', 'down']) {
      expect(lines([{ direction, error: 'failed' }], ['1.ts'], 'new')).to.deep.equal([edited])
    }
    expect(lines([{ endedAt: null }], ['1.ts'], 'new')).to.deep.equal([edited])
  })

  it('is which globs match no file', () => {
    const known = { executed: [], records: [], checksums: new Map() }
    expect(reportLines({ ...known, migrations: [], patterns: ['migratons/*.sql', 'more/*.ts'] })).to.deep.equal([
      'no file matches migratons/*.sql, more/*.ts',
    ])
    expect(reportLines({ ...known, migrations: [], patterns: [] })).to.deep.equal([])
  })

  it('is what comes late, and once what is archived', () => {
    expect(lines([], ['3.ts', '1.js'])).to.deep.equal([
      '2.ts is pending although its name comes before 3.ts, which is executed',
    ])
    expect(lines([], ['0.ts'])).to.deep.equal(['1 executed migration has no file any more (0.ts)'])
  })
})

describe('the reason of a failure', () => {
  it('is that of PostgreSQL under what wraps it, with place, detail and hint', () => {
    const parent = {
      message: 'no such column',
      detail: 'd',
      hint: 'h',
      where: 'w\nmore',
      position: '11',
      sql: 'SELECT\n  🐘a',
    }
    expect(describeError(Object.assign(new Error('Validation error'), { parent })))
      .to.equal('no such column; at line 2, column 4; detail: d; where: w; hint: h')
    expect(describeError({ message: 'm', position: '3' })).to.equal('m; at character 3')
  })

  it('is said for whatever is thrown', () => {
    expect(describeError(undefined)).to.equal('it threw undefined')
    expect(describeError('text')).to.equal('it threw text')
    expect(describeError(Object.assign(new Error(''), { errors: [new Error('a'), new Error('b')] }))).to.equal('a; b')
    expect(describeError(new Error(''))).to.equal('Error')
  })

  const failure = { name: '2.ts', where: '/m/2.ts', done: ['1.ts'], error: new Error('postgres://u:secret@h/d') }

  it('names what went through before, and hides passwords', () => {
    const { message, cause } = migrationFailed({ ...failure, direction: 'up', executed: false })
    expect(message).to.contain('Could not apply /m/2.ts').and.contain('Before it applied: 1.ts.')
    expect(message).not.to.contain('secret')
    expect(cause).to.equal(failure.error)
  })

  it('says whether it is recorded as executed, and the command that runs it again', () => {
    const said = (direction: Direction, executed: boolean) => {
      const { message, next } = migrationFailed({ ...failure, direction, executed })
      return [/It is (?:not|still) recorded as executed/.exec(message)?.[0], next!.split(/then /)[1]]
    }
    expect(said('up', false)).to.deep.equal(['It is not recorded as executed', 'npx umzug up'])
    expect(said('up', true)).to.deep.equal([
      'It is still recorded as executed',
      'npx umzug up --name 2.ts --rerun ALLOW',
    ])
    expect(said('down', true)).to.deep.equal(['It is still recorded as executed', 'npx umzug down --name 2.ts'])
    expect(said('down', false)).to.deep.equal([
      'It is not recorded as executed',
      'npx umzug down --name 2.ts --rerun ALLOW',
    ])
  })
})
