import { AsyncLocalStorage } from 'node:async_hooks'
import { expect } from 'chai'
import { col, DataTypes, fn, literal, type Model, type ModelStatic, Op } from 'sequelize'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel, type FromModelOptions } from '../../adapters/sequelize/index.ts'
import { ElasticUmzugError } from '../../src/errors.ts'
import type { Db, Source } from '../../src/ports.ts'
import { type Bookshop, fillBookshop, openBookshop, randomFrom } from '../support/bookshop.ts'
import { expectBothWays, parsed, readAll, readingOf } from '../support/both-ways.ts'
import { createWorld, type World } from '../support/world.ts'

type AnyModel = ModelStatic<Model>

const everything = { after: null, upTo: null }
const large = { rows: 1_000, bytes: 1e9 }
const noTimes = { timestamps: false }

async function rejection(work: () => unknown): Promise<ElasticUmzugError> {
  try {
    await work()
  } catch (error) {
    expect(error).to.be.instanceOf(ElasticUmzugError)
    return error as ElasticUmzugError
  }
  throw new Error('it was not refused')
}

describe('a source made from a model', () => {
  let world: World
  let db: Db
  let shop: Bookshop
  let number = 0

  before(async () => {
    world = await createWorld()
    db = fromSequelize(world.sequelize)
    shop = await openBookshop(world.sequelize)
    await fillBookshop(shop, randomFrom(3))
  })
  after(() => world.drop())

  async function newModel(attributes: object, options: object = noTimes, rows: object[] = []): Promise<AnyModel> {
    const model = world.sequelize.define(`Thing${++number}`, attributes as never, options) as AnyModel
    await model.sync()
    await model.bulkCreate(rows as never[])
    return model
  }

  const numbered = (size: number) =>
    Array.from({ length: size }, (_, index) => ({ id: index + 1, value: `v${index + 1}` }))
  const simple = { id: { type: DataTypes.INTEGER, primaryKey: true }, value: DataTypes.TEXT }
  // Both ways of making documents keep the same contract.
  const ways: [string, FromModelOptions][] = [['by PostgreSQL', {}], ['from instances', {
    document: (row) => row.get(),
  }]]

  for (const [way, options] of ways) {
    describe(way, () => {
      it('makes lines of a bulk request with the number as external version', async () => {
        const model = await newModel(simple, noTimes, [{ id: 1, value: 'a\n"b"' }])
        const page = await fromModel(model, options).page(db, everything, large, '1732450000000001')
        const [action, document, end] = page.body.split('\n')
        expect(action).to.equal('{"index":{"_id":"1","version":1732450000000001,"version_type":"external"}}')
        expect(JSON.parse(document!)).to.deep.equal({ id: 1, value: 'a\n"b"' })
        expect(end).to.equal('')
        expect(page).to.include({ count: 1, last: '1' })
      })

      it('reads a range page by page, up to and including its end', async () => {
        const source = fromModel(await newModel(simple, noTimes, numbered(25)), options)
        const page = await source.page(db, { after: '2', upTo: '9' }, { rows: 3, bytes: 1e9 }, '1')
        expect([...parsed(page).keys()]).to.deep.equal(['3', '4', '5'])
        expect(page.last).to.equal('5')
        expect([...(await readAll(source, db, 3, { after: '2', upTo: '9' })).keys()]).to.deep.equal([
          '3',
          '4',
          '5',
          '6',
          '7',
          '8',
          '9',
        ])
        const beyond = await source.page(db, { after: '9', upTo: '9' }, large, '1')
        expect(beyond).to.deep.include({ count: 0, body: '', last: null })
      })

      it('ends a page early by bytes, yet always holds a row', async () => {
        const source = fromModel(
          await newModel(simple, noTimes, numbered(9).map((each) => ({ ...each, value: 'x'.repeat(1_000) }))),
          options,
        )
        const page = await source.page(db, everything, { rows: 9, bytes: 2_500 }, '1')
        expect(page).to.include({ count: 3, last: '3' })
        expect(await source.page(db, { after: '3', upTo: null }, { rows: 9, bytes: 1 }, '1')).to.include({
          count: 1,
          last: '4',
        })
      })

      it('passes over rows that `where` leaves out in one page', async () => {
        const source = fromModel(await newModel(simple, noTimes, numbered(500)), {
          ...options,
          where: { id: { [Op.gte]: 400 } },
        })
        expect(await source.page(db, everything, { rows: 2, bytes: 1e9 }, '1')).to.include({ count: 2, last: '401' })
        expect((await source.page(db, { after: null, upTo: '399' }, large, '1')).last).to.equal(null)
        expect(await source.count(db)).to.equal(101)
      })

      it('gives the documents of keys, and leaves out keys that are none', async () => {
        const source = fromModel(await newModel(simple, noTimes, numbered(5)), options)
        const documents = await source.byKeys(
          db,
          ['4', 'x', '2', '99', '', '007', '2', '99999999999999', '03', '1,2'],
          '7',
        )
        expect(documents.keys).to.have.members(['2', '4'])
        expect([...parsed(documents).keys()]).to.deep.equal(documents.keys)
        expect(documents.count).to.equal(2)
        expect(await source.byKeys(db, ['nothing'], '7')).to.deep.include({ count: 0, keys: [], body: '' })
        expect(await source.byKeys(db, [], '7')).to.deep.include({ count: 0, keys: [], body: '' })
      })

      it('reads composite keys with commas and backslashes in the order of their types', async () => {
        const source = fromModel(shop.Chapter, options)
        const rows = await shop.Chapter.findAll({ order: ['part', 'number'] })
        const keys = rows.map((each) => {
          const part = (each.get('part') as string).replaceAll('\\', '\\\\').replaceAll(',', '\\,')
          return `${part},${each.get('number')}`
        })
        expect([...(await readAll(source, db, 4)).keys()]).to.deep.equal(keys)
        const found = await source.byKeys(db, [...keys, 'a', 'a,b,c', '\\', 'x,y'], '1')
        expect(found.keys).to.have.members(keys)
      })

      it('reads bigint, UUID and text keys', async () => {
        for (const model of [shop.Book, shop.Author, shop.Tag]) {
          const source = fromModel(model, options)
          const rows = await model.findAll({ order: [...model.primaryKeyAttributes] })
          const keys = rows.map((each) => String(each.get(model.primaryKeyAttributes[0]!)))
          expect([...(await readAll(source, db, 4)).keys()]).to.deep.equal(keys)
          expect((await source.byKeys(db, keys, '1')).count).to.equal(keys.length)
        }
      })

      it('reads keys that are points in time, to the microsecond and in any time zone', async () => {
        const model = await newModel({ at: { type: DataTypes.DATE, primaryKey: true } })
        const table = model.getTableName() as string
        await world.sequelize.query(
          `INSERT INTO "${table}" VALUES ('2020-01-01 00:00:00.123456Z'), ('2020-01-01 00:00:00.123457Z')`,
        )
        const source = fromModel(model, options)
        const keys = [...(await readAll(source, db, 1)).keys()]
        expect(keys).to.deep.equal(['2020-01-01 00:00:00.123456+00', '2020-01-01 00:00:00.123457+00'])
        expect((await source.byKeys(db, keys, '1')).keys).to.deep.equal(keys)
        const [other] = await db.transaction(async (tx) => {
          await tx.query(`SET LOCAL TIME ZONE 'Asia/Tokyo'`)
          return (await source.byKeys(tx, keys.slice(0, 1), '1')).keys
        })
        expect(other).to.equal(keys[0])
      })

      it('cuts the table into parts of about one size', async () => {
        const source = fromModel(await newModel(simple, noTimes, numbered(1_000)), options)
        expect(await source.split(db, 4)).to.deep.equal(['250', '500', '750'])
        expect(await source.split(db, 1)).to.deep.equal([])
        expect(await source.split(db, 3)).to.deep.equal(['334', '668'])
        const few = fromModel(await newModel(simple, noTimes, numbered(2)), options)
        expect(await few.split(db, 8)).to.deep.equal(['1', '2'])
        expect(await fromModel(await newModel(simple), options).split(db, 8)).to.deep.equal([])
        const cuts = await fromModel(shop.Chapter, options).split(db, 5)
        expect(cuts).to.have.lengthOf(4)
        const parts = await Promise.all(
          [null, ...cuts].map((after, index) =>
            readAll(fromModel(shop.Chapter, options), db, 50, { after, upTo: cuts[index] ?? null })
          ),
        )
        expect(parts.flatMap((each) => [...each.keys()])).to.deep.equal([
          ...(await readAll(fromModel(shop.Chapter), db)).keys(),
        ])
      })

      it('reads only committed rows, whatever transaction the caller is in', async () => {
        const model = await newModel(simple, noTimes, numbered(1))
        const source = fromModel(model, options)
        await world.sequelize.transaction(async (transaction) => {
          await model.create({ id: 2 }, { transaction })
          expect((await source.byKeys(db, ['1', '2'], '1')).keys).to.deep.equal(['1'])
        })
      })
    })
  }

  it('reads committed rows also where a transaction is in the air', async () => {
    const model = await newModel(simple, noTimes, numbered(1))
    const { Sequelize } = await import('sequelize')
    const current = new AsyncLocalStorage<Map<string, unknown>>()
    Sequelize.useCLS({
      run: (work: () => unknown) => current.run(new Map(current.getStore()), work),
      bind: (work: unknown) => work,
      get: (name: string) => current.getStore()?.get(name),
      set: (name: string, value: unknown) => void current.getStore()?.set(name, value),
    } as never)
    try {
      await world.sequelize.transaction(async () => {
        await model.update({ value: 'uncommitted' }, { where: { id: 1 } })
        expect(await model.count({ where: { value: 'uncommitted' } })).to.equal(1)
        for (const [way, options] of ways) {
          expect(parsed(await fromModel(model, options).byKeys(db, ['1'], '1')).get('1'), way).to.deep.equal({
            id: 1,
            value: 'v1',
          })
        }
      })
    } finally {
      // There is no official way back.
      delete (Sequelize as unknown as { _cls?: unknown })._cls
    }
  })

  it('makes a page with includes in one statement, without a row more for a child', async () => {
    const asked: string[] = []
    const watched: Db = { ...db, query: (sql, values) => (asked.push(sql), db.query(sql, values)) }
    const source = fromModel(shop.Book, { include: ['chapters', 'tags', 'author', { association: 'cover' }] })
    await source.dependencies(watched)
    asked.length = 0
    const page = await source.page(watched, everything, { rows: 5, bytes: 1e9 }, '1')
    expect(asked).to.have.lengthOf(1)
    expect(page.count).to.equal(5)
    await source.byKeys(watched, ['1', '2', '3'], '1')
    expect(asked).to.have.lengthOf(2)
  })

  it('gives what findAll and JSON.stringify give', async () => {
    const options = {
      include: [
        { association: 'author', include: ['country'] },
        'cover',
        {
          association: 'chapters',
          include: [{ association: 'notes', where: { likes: { [Op.gt]: 1 } }, required: false }],
        },
        { association: 'tags', through: { attributes: ['weight'] } },
      ],
    }
    const rows = await shop.Book.findAll({
      ...options,
      order: ['id', ['chapters', 'part', 'ASC'], ['chapters', 'number', 'ASC'], ['chapters', 'notes', 'id', 'ASC'], [
        'tags',
        'name',
        'ASC',
      ]] as never,
    })
    const documents = await readAll(fromModel(shop.Book, options), db)
    expect([...documents.values()]).to.deep.equal(JSON.parse(JSON.stringify(rows)))
  })

  it('sorts the arrays of includes by `order`, then by key', async () => {
    const order = [['title', 'DESC'], ['chapters', 'heading', 'DESC NULLS LAST'], [
      { model: shop.Tag, as: 'tags' },
      'rank',
      'DESC',
    ]]
    const documents = await expectBothWays(db, shop.Book, { include: ['chapters', 'tags'], order: order as never })
    const ranks = [...documents.values()].map((each) =>
      (each as { tags: { rank: number }[] }).tags.map((tag) => tag.rank)
    )
    expect(ranks.some((each) => each.length > 1)).to.equal(true)
    for (const each of ranks) expect(each).to.deep.equal([...each].sort((a, b) => b - a))
  })

  it('gives the child with the lowest key where a hasOne has several', async () => {
    const book = (await shop.Book.findOne({ order: ['id'] }))!
    const covers = await shop.Cover.bulkCreate([{ color: 'first' }, { color: 'second' }, { color: 'third' }])
    await shop.Cover.update({ bookId: null }, { where: { bookId: book.get('id') } })
    for (const cover of [covers[1]!, covers[0]!, covers[2]!]) await cover.update({ bookId: book.get('id') })
    for (const include of [['cover'], ['cover', 'chapters'], ['chapters', 'cover', 'tags']]) {
      const documents = await expectBothWays(db, shop.Book, { include })
      expect(documents.get(String(book.get('id')))).to.deep.include({
        cover: { id: covers[0]!.get('id'), color: 'first', bookId: book.get('id') },
      })
    }
  })

  it('respects scopes, the default scope and paranoid, as findAll does', async () => {
    const model = await newModel({ ...simple, hidden: DataTypes.BOOLEAN }, {
      paranoid: true,
      defaultScope: { where: { hidden: false }, attributes: { exclude: ['createdAt', 'updatedAt'] } },
      scopes: { some: { where: { id: { [Op.lt]: 3 } } }, none: {} },
    }, [{ id: 1, hidden: false }, { id: 2, hidden: true }, { id: 3, hidden: false }, {
      id: 4,
      hidden: false,
      deletedAt: new Date(),
    }])
    const keys = async (
      scoped: AnyModel,
      options: FromModelOptions = {},
    ) => [...(await expectBothWays(db, scoped, options)).keys()]
    expect(await keys(model)).to.deep.equal(['1', '3'])
    expect(await keys(model, { where: { hidden: true } })).to.deep.equal(['2'])
    expect(await keys(model.scope('some'))).to.deep.equal(['1', '2'])
    expect(await keys(model.scope(['defaultScope', 'some']))).to.deep.equal(['1'])
    expect(await keys(model.unscoped())).to.deep.equal(['1', '2', '3'])
  })

  it('takes conditions of every form', async () => {
    const forms: FromModelOptions['where'][] = [
      { title: { [Op.iLike]: '%E%' } },
      { [Op.or]: [{ price: { [Op.gt]: 1 } }, { published: null }] },
      { meta: { a: 1 } },
      { 'meta.a': 1 } as never,
      literal('"Book"."price" > 0') as never,
      { [Op.and]: [literal('price IS NOT NULL'), { published: true }] } as never,
      { price: { [Op.lt]: literal('(SELECT max(price) FROM "Lib x"."Bo oks")') } } as never,
      { price: { [Op.lt]: col('book_id') } } as never,
      { title: `d'or` },
      { title: ['sea', 'c\\d'] },
      { authorId: null },
    ]
    for (const where of forms) await expectBothWays(db, shop.Book, { where })
    const source = fromModel(shop.Book, { where: forms[4]! })
    expect((await source.dependencies(db))[0]!.columns).to.include.members(['price', 'meta', 'editor'])
  })

  it('leaves out rows without a required include, at any depth', async () => {
    const options: FromModelOptions = {
      include: [{
        association: 'chapters',
        attributes: [],
        required: true,
        include: [{ association: 'notes', attributes: [], where: { likes: 3 } }],
      }],
    }
    const documents = await expectBothWays(db, shop.Book, options)
    expect(documents.size).to.be.greaterThan(0).and.lessThan(await shop.Book.count())
    expect(await fromModel(shop.Book, options).count(db)).to.equal(documents.size)
    expect(await shop.Book.count({ ...options as object, distinct: true })).to.equal(documents.size)
  })

  it('takes documents of more than fifty fields', async () => {
    const attributes = Object.fromEntries(
      Array.from({ length: 120 }, (_, index) => [`field ${index}`, DataTypes.INTEGER]),
    )
    const model = await newModel({ ...simple, ...attributes }, noTimes, [{ id: 1, 'field 7': 7 }])
    const documents = await expectBothWays(db, model)
    expect(Object.keys(documents.get('1') as object)).to.have.lengthOf(122)
  })

  it('takes includes named by string, association, model and all', async () => {
    const { Book, Author } = shop
    const author = Book.associations['author']!
    for (
      const include of ['author', author, { association: 'author' }, { association: author }, {
        model: Author,
        as: 'author',
      }]
    ) {
      const documents = await expectBothWays(db, Book, { include: [include] })
      expect(Object.keys(documents.get('1') as object)).to.include('author')
    }
    const documents = await expectBothWays(db, Book, { include: [{ all: true }] })
    expect(Object.keys(documents.get('1') as object)).to.include.members([
      'author',
      'editor',
      'cover',
      'chapters',
      'tags',
    ])
  })

  describe('where instances are needed', () => {
    it('says why', async () => {
      const reasons: [AnyModel, FromModelOptions, RegExp][] = [
        [await newModel({ ...simple, shout: { type: DataTypes.VIRTUAL, get: () => 1 } }), {}, /virtual|getters/],
        [await newModel({ ...simple, value: { type: DataTypes.TEXT, get: () => 'got' } }), {}, /getters/],
        [await newModel(simple, { ...noTimes, hooks: { beforeFind: () => {} } }), {}, /find hooks/],
        [shop.Book, { document: () => ({}) }, /document\(\)/],
        [shop.Book, { attributes: ['id', [fn('upper', col('title')), 'upper']] }, /expression/],
        [shop.Book, { include: [{ association: 'chapters', separate: true }] }, /separate/],
        [shop.Book, {
          include: [{
            association: 'chapters',
            where: literal('"chapters"."number" > "Book"."price"') as never,
            required: false,
          }],
        }, /only be put by Sequelize/],
        [shop.Book, { include: ['chapters'], order: literal('1') as never }, /order/],
      ]
      for (const [model, options, reason] of reasons) {
        expect((await readingOf(db, model, options)).reason).to.match(reason)
      }
    })

    it('gives what getters, virtual attributes and an own toJSON give', async () => {
      const model = await newModel(
        {
          ...simple,
          loud: {
            type: DataTypes.VIRTUAL,
            get(this: Model) {
              return `${this.get('value')}!`
            },
          },
        },
        noTimes,
        [{ id: 1, value: 'x' }],
      )
      expect((await readAll(fromModel(model), db)).get('1')).to.deep.equal({ id: 1, value: 'x', loud: 'x!' })
      const own = await newModel(simple, noTimes, [{ id: 1, value: 'x' }])
      own.prototype.toJSON = function () {
        return { only: this.get('value') } as never
      }
      expect((await readAll(fromModel(own), db)).get('1')).to.deep.equal({ only: 'x' })
    })

    it('hands instances with their includes to document()', async () => {
      const source = fromModel(shop.Book, {
        include: ['author', 'chapters'],
        document: (book: Model & { author?: Model; chapters?: Model[] }) =>
          Promise.resolve({
            title: book.get('title'),
            isBook: book instanceof shop.Book,
            author: book.author?.get('name'),
            chapters: book.chapters?.length,
            seen: Object.keys(book.get()),
          }),
      })
      const documents = await readAll(source, db)
      const [row] = await shop.Book.findAll({
        order: ['id'],
        include: ['author', 'chapters'],
      }) as (Model & { author?: Model; chapters: Model[] })[]
      expect(documents.get(String(row!.get('id')))).to.deep.equal(JSON.parse(JSON.stringify({
        title: row!.get('title'),
        isBook: true,
        author: row!.author?.get('name'),
        chapters: row!.chapters.length,
        seen: Object.keys(row!.get()),
      })))
    })

    it('reports a document() that throws by its key, and makes the others', async () => {
      const model = await newModel(simple, noTimes, numbered(4))
      const source = fromModel(model, {
        document(row: Model) {
          if (row.get('id') === 2) throw new Error('no two')
          return row.get('id') === 3 ? { big: 1n } : { id: row.get('id') }
        },
      })
      const page = await source.page(db, everything, large, '1')
      expect([...parsed(page).keys()]).to.deep.equal(['1', '4'])
      expect(page.failed?.[0]).to.deep.equal({ key: '2', reason: 'no two' })
      expect(page.failed?.[1]).to.include({ key: '3' })
      expect(page.last).to.equal('4')
    })

    it('makes no document where document() gives nothing, and counts so', async () => {
      const model = await newModel(simple, noTimes, numbered(30))
      const source = fromModel(model, {
        document: (row: Model) => (row.get('id') as number) % 10 === 0 ? row : undefined,
      })
      expect([...(await readAll(source, db, 4)).keys()]).to.deep.equal(['10', '20', '30'])
      expect(await source.count(db)).to.equal(3)
      expect((await source.byKeys(db, ['1', '10'], '1')).keys).to.deep.equal(['10'])
    })

    it('reads a column the way the application parses it', async () => {
      const { types } = (await import('pg')).default
      const model = await newModel({ ...simple, big: DataTypes.BIGINT }, noTimes, [{ id: 1, big: '12' }])
      const usual = types.getTypeParser(20)
      types.setTypeParser(20, Number)
      try {
        expect((await readAll(fromModel(model), db)).get('1')).to.deep.equal({ id: 1, value: null, big: 12 })
      } finally {
        types.setTypeParser(20, usual)
      }
      expect((await readAll(fromModel(model), db)).get('1')).to.deep.equal({ id: 1, value: null, big: '12' })
    })
  })

  describe('refuses', () => {
    const cases: [string, () => Source | Promise<Source>, string, RegExp][] = [
      ['what is no model', () => fromModel({} as never), 'DEFINITION_INVALID', /was given object/],
      [
        'an include that is no association',
        () => fromModel(shop.Book, { include: ['nope'] }),
        'SOURCE_INVALID',
        /"nope" does not exist on Book/,
      ],
      [
        'a model that is not associated',
        () => fromModel(shop.Book, { include: [shop.Country] }),
        'SOURCE_INVALID',
        /Country is not associated to Book/,
      ],
      [
        'an attribute that does not exist',
        () => fromModel(shop.Book, { attributes: ['nope'] }),
        'SOURCE_INVALID',
        /no attribute "nope"/,
      ],
      [
        'a column that does not exist',
        () => fromModel(shop.Book, { attributes: ['id', ['nope', 'yes']] }),
        'SOURCE_INVALID',
        /no column "nope"/,
      ],
      [
        'a column of an include that does not exist',
        () =>
          fromModel(shop.Book, {
            include: [{ association: 'chapters', include: [{ association: 'notes', attributes: [['nope', 'yes']] }] }],
          }),
        'SOURCE_INVALID',
        /no column "nope"/,
      ],
      ['a limit', () => fromModel(shop.Book, { limit: 3 } as never), 'SOURCE_INVALID', /`limit`/],
      [
        'a condition on an include at the top',
        () => fromModel(shop.Book, { include: ['author'], where: { '$author.name$': 'x' } }),
        'SOURCE_INVALID',
        /author\.name/,
      ],
      [
        "a join of the user's own",
        () => fromModel(shop.Book, { include: [{ association: 'author', on: { id: 1 } }] }),
        'SOURCE_INVALID',
        /`on`/,
      ],
    ]
    for (const [what, make, code, message] of cases) {
      it(what, async () => {
        const error = await rejection(async () => await (await make()).dependencies(db))
        expect(error.code).to.equal(code)
        expect(error.message).to.match(message).and.match(/next: ./)
      })
    }

    it('a model without primary key, and a table that does not exist', async () => {
      const keyless = world.sequelize.define('Keyless', { a: DataTypes.TEXT }, noTimes)
      keyless.removeAttribute('id')
      expect((await rejection(() => fromModel(keyless).count(db))).message).to.match(/no primary key/)
      const missing = world.sequelize.define('Missing', simple, noTimes)
      const source = fromModel(missing)
      expect((await rejection(() => source.count(db))).message).to.match(
        /no table public\.Missings.*next: npx umzug up/s,
      )
      await missing.sync()
      expect(await source.count(db)).to.equal(0)
    })

    it('a version that is no number', async () => {
      const error = await rejection(() => fromModel(shop.Book).page(db, everything, large, '1}}'))
      expect(error.message).to.match(/no document version/)
    })
  })

  it('orders arrays within separate includes by key, too', async () => {
    await shop.Category.bulkCreate([[900, null], [901, 900], [902, 901], [903, 901], [904, 902], [905, 902]].map(
      ([id, parentId]) => ({ id, parentId, name: 'x' }),
    ))
    const below = { association: 'children', attributes: ['id'] }
    const separate = { association: 'children', separate: true, include: [{ ...below, include: [below] }] }
    const source = fromModel(shop.Category, { attributes: ['id'], include: [separate] })
    for (const id of [902, 904]) {
      // Moves the row behind the others.
      await shop.Category.update({ name: 'y' }, { where: { id } })
      const found = parsed(await source.byKeys(db, ['900'], '1')).get('900') as {
        children: { children: { id: number; children: { id: number }[] }[] }[]
      }
      const [first, second] = found.children[0]!.children
      expect([first!.id, second!.id]).to.deep.equal([902, 903])
      expect(first!.children.map((each) => each.id)).to.deep.equal([904, 905])
    }
  })

  it('can be made before associations are set up', async () => {
    const parent = await newModel(simple, noTimes, [{ id: 1, value: 'p' }])
    const child = await newModel({ ...simple, parentId: DataTypes.INTEGER }, noTimes, [{ id: 1, parentId: 1 }])
    const source = fromModel(child, { include: ['parent'] })
    child.belongsTo(parent, { as: 'parent', foreignKey: 'parentId' })
    expect((await readAll(source, db)).get('1')).to.deep.include({ parent: { id: 1, value: 'p' } })
  })

  it('goes on after a migration changed the type of the key', async () => {
    const model = await newModel(simple, noTimes, numbered(2))
    const source = fromModel(model)
    await source.page(db, everything, large, '1')
    await world.sequelize.query(`ALTER TABLE "${model.getTableName()}" ALTER id TYPE bigint`)
    await world.sequelize.query(`INSERT INTO "${model.getTableName()}" VALUES (9000000000, 'big')`)
    expect((await source.page(db, { after: '8999999999', upTo: null }, large, '1')).last).to.equal('9000000000')
    await world.sequelize.query(`INSERT INTO "${model.getTableName()}" VALUES (9000000001, 'big')`)
    expect((await source.byKeys(db, ['9000000001'], '1')).keys).to.deep.equal(['9000000001'])
  })
})
