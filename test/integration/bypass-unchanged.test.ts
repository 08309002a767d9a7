import { expect } from 'chai'
import { QueryTypes, type Sequelize } from 'sequelize'
import { installCapture } from '../../adapters/sequelize/capture.ts'
import { createWorld, type World } from '../support/world.ts'
import { type Options, statements } from './bypass.statements.ts'
import { type App, book, definitionsOf, type Library, openApp, openLibrary } from './capture.world.ts'

// Whatever the caller can see of a result.
function visible(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(visible)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if ('rowCount' in value && 'command' in value) {
    const { command, rowCount, oid, rows, fields } = value as Record<string, unknown>
    return {
      command,
      rowCount,
      oid,
      rows: visible(rows),
      fields: (fields as { name: string }[]).map(({ name }) => name),
    }
  }
  const { dataValues } = value as { dataValues?: object }
  const plain = dataValues ? { values: { ...dataValues } } : value
  return Object.fromEntries(Object.entries(plain).map(([name, each]) => [name, visible(each)]))
}

describe('what recording leaves of raw statements as it was', () => {
  let world: World
  let library: Library
  let captured: App
  let plain: App

  before(async () => {
    world = await createWorld()
    library = openLibrary(world.sequelize)
    await library.prepare()
    await library.outside.query('CREATE VIEW few_books AS SELECT * FROM books WHERE pages < 3')
    captured = openApp(world.databaseUrl, { pool: 1 })
    plain = openApp(world.databaseUrl, { pool: 1, captured: false })
  })
  after(async () => {
    await captured.close()
    await plain.close()
    await world.drop()
  })

  const both = async (work: (sequelize: Sequelize) => Promise<unknown>): Promise<unknown[]> => {
    const results = []
    for (const { sequelize } of [plain, captured]) {
      await library.reset()
      const result = visible(await work(sequelize))
      const rows = [...(await library.snapshot())].map((
        [table, each],
      ) => [table, each.map((row) => JSON.stringify(row)).sort()])
      results.push([result, rows])
    }
    return results
  }

  for (const [name, { run }] of Object.entries(statements)) {
    it(`the result of ${name}`, async () => {
      const [bare, recorded] = await both((sequelize) => run(sequelize, {}))
      expect(recorded).to.deep.equal(bare)
    })
  }

  const failures: Record<string, string> = {
    'a syntax error': 'UPDATE books SET WHERE',
    'a table that is not there': 'UPDATE nothing SET title = 1',
    'a column that is not there': `UPDATE books SET nothing = 'x' WHERE pages = 1`,
    'a column that is not there, in a condition of rows that are locked':
      `UPDATE books SET author_id = 2 WHERE nothing = 1`,
    'a unique key': `INSERT INTO authors (name) VALUES ('x'), ('author 1')`,
    'a foreign key': `UPDATE books SET author_id = 99 WHERE pages = 1`,
    'a whole table': `INSERT INTO tags (label) VALUES ('x'); UPDATE books SET author_id = 99`,
  }
  for (const [name, sql] of Object.entries(failures)) {
    it(`the error of ${name}, and no change`, async () => {
      const [bare, recorded] = await both((sequelize) =>
        sequelize.query(sql).then(() => 'done', (error) => {
          const { name, message, sql, parameters, fields, parent, original } = error
          return { name, message, sql, parameters, fields, code: parent.code, same: parent === original }
        })
      )
      expect(recorded).to.deep.equal(bare)
      expect((recorded as unknown[])[0]).to.not.equal('done')
      expect(await library.recorded()).to.deep.equal([])
    })
  }

  it('the error in a transaction that has failed, and what comes after', async () => {
    const [bare, recorded] = await both((sequelize) =>
      sequelize.transaction(async (transaction) => {
        const after = [`UPDATE books SET author_id = 4`, `UPDATE few_books SET title = 'x'`, 'SELECT 1']
        const errors = []
        for (const sql of ['SELECT 1 / 0', ...after]) {
          errors.push(
            await sequelize.query(sql, { transaction }).then(() => 'done', ({ parent, sql }) => [parent.code, sql]),
          )
        }
        return errors
      })
    )
    expect(recorded).to.deep.equal(bare)
  })

  it('what is logged: the statement as it was given, once, with its time where asked', async () => {
    for (const options of [{}, { benchmark: true }, { logQueryParameters: true }]) {
      const logs = await Promise.all([plain, captured].map(async ({ sequelize }) => {
        const lines: unknown[] = []
        const logging = (line: string, ms: unknown) => lines.push([line, typeof ms])
        await sequelize.query(
          'UPDATE books SET author_id = $1 WHERE pages = 1',
          { bind: [2], logging, ...options } as never,
        )
        return lines
      }))
      expect(logs[1]).to.deep.equal(logs[0])
      expect(logs[1]).to.have.length(1)
    }
  })

  it('hooks of the application: one before, one after, with the statement as it was given', async () => {
    const app = openApp(world.databaseUrl, { pool: 1 })
    await app.sequelize.query('SELECT 1')
    const seen: unknown[] = []
    app.sequelize.addHook('beforeQuery', () => void seen.push('before'))
    app.sequelize.addHook('afterQuery', (_, query) => void seen.push((query as unknown as { sql: string }).sql))
    const sql = 'UPDATE books SET author_id = 2 WHERE pages = 1'
    await app.sequelize.query(sql)
    expect(seen).to.deep.equal(['before', sql])
    await app.close()
  })

  it('writes of models: they are recorded once', async () => {
    await library.reset()
    await captured.models.Book.update({ authorId: 2 }, { where: { id: book(1) } })
    await captured.models.Tag.create({ label: 'x' })
    await captured.sequelize.getQueryInterface().bulkInsert('tags', [{ label: 'y' }])
    expect((await library.recorded()).map((each) => each.table_name)).to.deep.equal([
      'public.books',
      'public.books',
      'public.tags',
      'public.tags',
    ])
  })

  it('the options of the caller', async () => {
    const options: Options = Object.freeze({})
    await captured.sequelize.getQueryInterface().bulkInsert('shelves', [{ code: 'Z', label: 'z' }], options)
    await library.reset()
    await captured.sequelize.query(`UPDATE tags SET label = 'x' WHERE id = 1`, options)
    expect(await library.recorded()).to.have.length(1)
  })

  it('the class of queries, after uninstall', () => {
    const { sequelize } = plain
    const { dialect } = sequelize as unknown as { dialect: { Query: unknown } }
    const before = [dialect.Query, Object.hasOwn(dialect, 'Query')]
    const options = { sequelize, definitions: definitionsOf(sequelize), schema: 'elastic_umzug', wake: () => {} }
    const uninstall = installCapture(options)
    expect(dialect.Query).to.not.equal(before[0])
    uninstall()
    expect([dialect.Query, Object.hasOwn(dialect, 'Query')]).to.deep.equal(before)
  })

  it('a pool of one is not waited for, and no connection is kept', async () => {
    const sql = `UPDATE books SET author_id = 3 WHERE pages = 2`
    await Promise.all([1, 2, 3].map(() => captured.sequelize.query(sql, { type: QueryTypes.UPDATE })))
    await captured.sequelize.query('UPDATE books SET author_id = 99').catch(() => {})
    const [rows] = await captured.sequelize.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'`,
    )
    expect(rows).to.deep.equal([])
  })
})
