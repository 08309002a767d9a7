import { expect } from 'chai'
import { createWorld, type World } from '../support/world.ts'
import { type Operation, operations } from './capture.operations.ts'
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

type Mode = (app: App, operation: Operation) => Promise<unknown>

const undo = new Error('undo')

const modes: Record<string, { run: Mode; kept: boolean; cls?: boolean; anyPool?: boolean }> = {
  'autocommit': { kept: true, anyPool: true, run: ({ models }, operation) => operation(models, {}) },
  'a transaction': {
    kept: true,
    anyPool: true,
    run: ({ sequelize, models }, operation) =>
      sequelize.transaction((transaction) => operation(models, { transaction })),
  },
  'a transaction rolled back': {
    kept: false,
    run: ({ sequelize, models }, operation) =>
      sequelize.transaction(async (transaction) => {
        await operation(models, { transaction })
        throw undo
      }).catch((error) => expect(error).to.equal(undo)),
  },
  'a savepoint': {
    kept: true,
    run: ({ sequelize, models }, operation) =>
      sequelize.transaction((outer) =>
        sequelize.transaction({ transaction: outer }, (transaction) => operation(models, { transaction }))
      ),
  },
  'a savepoint rolled back': {
    kept: false,
    run: ({ sequelize, models }, operation) =>
      sequelize.transaction(async (outer) => {
        await sequelize.transaction({ transaction: outer }, async (transaction) => {
          await operation(models, { transaction })
          throw undo
        }).catch((error) => expect(error).to.equal(undo))
      }),
  },
  'CLS': {
    kept: true,
    cls: true,
    run: ({ sequelize, models }, operation) => sequelize.transaction(() => operation(models, {})),
  },
  'CLS, outside a transaction': { kept: true, cls: true, run: ({ models }, operation) => operation(models, {}) },
}

describe('capture of every write', () => {
  let world: World
  let library: Library

  before(async () => {
    world = await createWorld()
    library = openLibrary(world.sequelize)
    await library.prepare()
  })
  after(() => world.drop())

  for (const pool of [1, 5]) {
    for (const [mode, { run, kept, cls, anyPool }] of Object.entries(modes)) {
      if (pool > 1 && !anyPool) continue
      describe(`in ${mode}, with a pool of ${pool}`, () => {
        let app: App
        let off = () => {}

        before(() => {
          if (cls) off = useCls()
          app = openApp(world.databaseUrl, { pool })
        })
        after(async () => {
          await app.close()
          off()
        })
        beforeEach(() => library.reset())

        for (const [name, operation] of Object.entries(operations)) {
          it(name, async () => {
            const before = await library.snapshot()
            await run(app, operation)
            const after = await library.snapshot()
            const recorded = await library.recorded()
            if (!kept) return void expect([after, recorded]).to.deep.equal([before, []])
            const [images, possible] = [recordedImages(recorded), allImages(before, after)]
            const whole = new Set(recorded.filter(({ rows }) => rows === null).map((each) => each.table_name))
            for (const [table, expected] of expectedImages(before, after)) {
              const found = images.get(table) ?? new Set()
              if (!whole.has(`public.${table}`)) {
                expect([...found], `${table}: recorded`).to.include.members([...expected])
              }
              expect([...possible.get(table)!], `${table}: possible`).to.include.members(
                [...found].filter((each) => !/=null$/.test(each)),
              )
              if (name.includes('no document reads') || name.endsWith('nothing changed')) expect(found.size).to.equal(0)
            }
          })
        }
      })
    }
  }
})
