import { expect } from 'chai'
import { createWorld, type World } from '../support/world.ts'
import {
  allImages,
  type App,
  expectedImages,
  type Library,
  openApp,
  openLibrary,
  recordedImages,
  useCls,
} from './capture.world.ts'
import { type Operation, statements } from './bypass.statements.ts'

const modes: Record<
  string,
  { run(app: App, operation: Operation): Promise<unknown>; kept: boolean; cls?: true; few?: true }
> = {
  'autocommit': { kept: true, run: ({ sequelize }, operation) => operation(sequelize, {}) },
  'a transaction': {
    kept: true,
    run: ({ sequelize }, operation) => sequelize.transaction((transaction) => operation(sequelize, { transaction })),
  },
  'a savepoint rolled back': {
    kept: false,
    few: true,
    run: ({ sequelize }, operation) =>
      sequelize.transaction(async (outer) => {
        const inner = await sequelize.transaction({ transaction: outer })
        await operation(sequelize, { transaction: inner })
        await inner.rollback()
      }),
  },
  'CLS': {
    kept: true,
    cls: true,
    few: true,
    run: ({ sequelize }, operation) => sequelize.transaction(() => operation(sequelize, {})),
  },
}

describe('raw statements', () => {
  let world: World
  let library: Library

  before(async () => {
    world = await createWorld()
    library = openLibrary(world.sequelize)
    await library.prepare()
    await library.outside.query('CREATE VIEW few_books AS SELECT * FROM books WHERE pages < 3')
  })
  after(() => world.drop())
  beforeEach(() => library.reset())

  for (const [mode, { run, kept, cls, few }] of Object.entries(modes)) {
    describe(`are recorded in ${mode}`, () => {
      let app: App
      let off = () => {}
      before(() => {
        if (cls) off = useCls()
        app = openApp(world.databaseUrl, { pool: 1 })
      })
      after(async () => {
        await app.close()
        off()
      })

      for (const [name, { how, run: operation }] of Object.entries(statements)) {
        if (few && !/^(?:INSERT|UPDATE that moves|DELETE that cascades|MERGE|several statements)$/.test(name)) continue
        it(name, async () => {
          const before = await library.snapshot()
          await run(app, operation)
          const after = await library.snapshot()
          const recorded = await library.recorded()
          if (!kept) return void expect([after, recorded]).to.deep.equal([before, []])
          const whole = new Set(recorded.filter(({ rows }) => rows === null).map((each) => each.table_name))
          expect(whole.size > 0 ? 'whole' : recorded.length > 0 ? 'rows' : 'nothing').to.equal(how)
          const [images, possible] = [recordedImages(recorded), allImages(before, after)]
          for (const [table, expected] of expectedImages(before, after)) {
            const found = images.get(table) ?? new Set()
            if (!whole.has(`public.${table}`)) expect([...found], table).to.include.members([...expected])
            expect([...possible.get(table)!], table).to.include.members(
              [...found].filter((each) => !/=null$/.test(each)),
            )
          }
        })
      }
    })
  }
})
