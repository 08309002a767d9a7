import { expect } from 'chai'
import { DataTypes, type Model, type ModelStatic, Sequelize } from 'sequelize'
import { installCapture } from '../../adapters/sequelize/capture.ts'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { watchMs } from '../../src/ports.ts'
import { defineIndex } from '../../src/search/definition.ts'
import { createWorld, type World } from '../support/world.ts'
import {
  type App,
  book,
  defineModels,
  definitionsOf,
  type Library,
  openApp,
  openLibrary,
  reads,
} from './capture.world.ts'

type AnyModel = ModelStatic<Model<Record<string, unknown>, Record<string, unknown>>>

describe('capture of tables out of the ordinary', () => {
  let world: World
  let library: Library
  let app: App
  let wakes = 0

  before(async () => {
    world = await createWorld()
    library = openLibrary(world.sequelize)
    await library.prepare()
  })
  after(() => world.drop())
  beforeEach(async () => {
    await library.reset()
    wakes = 0
    app = openApp(world.databaseUrl, { pool: 2, wake: () => wakes++ })
  })
  afterEach(() => app.close())

  const sql = (text: string) => library.outside.query(text)
  const rows = async (table: string) =>
    (await library.recorded()).filter((each) => each.table_name === table).flatMap((each) => each.rows ?? [])

  const halfASecondLater = async (work: () => Promise<unknown>) => {
    const now = performance.now.bind(performance)
    performance.now = () => now() + watchMs
    try {
      await work()
    } finally {
      performance.now = now
    }
  }

  // A table of one's own, captured by itself.
  const captured = async (
    ddl: string,
    name: string,
    attributes: Record<string, unknown>,
    capture: string[],
    schema = 'public',
  ) => {
    await sql(ddl)
    const sequelize = new Sequelize(world.databaseUrl, { logging: false, pool: { max: 1 } })
    const Thing = sequelize.define('Thing', attributes as never, {
      tableName: name,
      schema,
      timestamps: false,
    }) as AnyModel
    const warnings: string[] = []
    const source = { sequelize, reads: [{ table: { schema, name }, columns: capture, capture }] }
    const options = {
      definitions: [{ source }] as never,
      schema: 'elastic_umzug',
      wake: () => {},
      onWarning: (line: string) => void warnings.push(line),
    }
    installCapture({ sequelize, ...options })
    // Does something else before the next insert is sent.
    const once = (work: () => Promise<unknown>) => {
      let done = false
      sequelize.addHook('beforeQuery', async ({ type }: { type?: string }) => {
        if (done || type !== 'INSERT') return
        done = true
        await work()
      })
    }
    return { Thing, warnings, once, id: `${schema}.${name}`, close: () => sequelize.close() }
  }

  it('watches what a source made from a model reads, and nothing else', async () => {
    const sequelize = new Sequelize(world.databaseUrl, { logging: false })
    const { Author, Book, Tag, Review } = defineModels(sequelize)
    const include = [{ model: Author, as: 'author', attributes: ['name'] }, {
      model: Tag,
      as: 'tags',
      attributes: ['label'],
    }]
    const source = fromModel(Book, { attributes: ['id', 'title'], include })
    const definitions = [defineIndex({ name: 'books', mappings: {}, source })]
    installCapture({ sequelize, definitions, schema: 'elastic_umzug', wake: () => {} })
    await Review.update({ stars: 9 }, { where: {} })
    await Book.update({ notes: 'x', pages: 9 }, { where: {}, silent: true })
    await Author.update({ rank: 9, bio: 'x' }, { where: {} })
    expect(await library.recorded()).to.deep.equal([])
    await Author.update({ name: 'x' }, { where: { id: 1 } })
    await Book.update({ title: 'x' }, { where: { id: book(1) }, silent: true })
    await (await Book.findByPk(book(1)) as unknown as { setTags(tags: string[]): Promise<void> }).setTags(['3'])
    const seen = (await library.recorded()).map((each) => [each.table_name, each.rows!.length, each.columns])
    expect(seen.slice(0, 2)).to.deep.equal([['public.authors', 1, ['name']], ['public.books', 1, ['title']]])
    expect(seen.slice(2)).to.have.deep.members([['public.book_tags', 2, null], ['public.book_tags', 1, null]])
    await sequelize.close()
  })

  describe('truncate', () => {
    it('records the whole table, and those emptied with it', async () => {
      await app.models.Author.truncate({ cascade: true })
      const whole = (await library.recorded()).filter((each) => each.rows === null).map((each) => each.table_name)
      expect(whole).to.have.members(['public.authors', 'public.books', 'public.book_tags', 'public.reviews'])
    })
    it('records nothing when it is rolled back or refused', async () => {
      await app.sequelize.transaction(async (transaction) => {
        await app.models.Slot.destroy({ truncate: true, transaction })
        throw new Error('undo')
      }).catch(() => {})
      const error = await app.models.Author.truncate().then(() => undefined, (error) => error)
      expect(error.parent.code).to.equal('0A000')
      expect(await library.recorded()).to.deep.equal([])
    })
    it('records nothing of a table nobody reads', async () => {
      await sql('CREATE TABLE IF NOT EXISTS unread (id int)')
      await app.sequelize.getQueryInterface().bulkDelete('unread', {}, { truncate: true } as never)
      expect(await library.recorded()).to.deep.equal([])
    })
  })

  it('records 2,500 rows in changes of at most 1,000', async () => {
    await app.models.Tag.bulkCreate(Array.from({ length: 2_500 }, (_, at) => ({ label: `${at}` })))
    const sizes = (await library.recorded()).map((each) => each.rows!.length)
    expect(sizes.sort((one, two) => one - two)).to.deep.equal([500, 1_000, 1_000])
  })

  it('names the changed columns of an update, and none of rows that come or go', async () => {
    await app.models.Book.update({ title: 'x', notes: 'y' }, { where: { id: book(1) } })
    await app.models.Tag.create({ label: 'x' })
    await app.models.Tag.destroy({ where: { id: 3 } })
    const columns = (await library.recorded()).map((each) => [each.table_name, each.columns?.sort() ?? null])
    expect(columns).to.deep.equal([['public.books', ['notes', 'title', 'updatedAt']], ['public.tags', null], [
      'public.tags',
      null,
    ]])
  })

  it('records a composite key with awkward text, old and new', async () => {
    const table = await captured(
      `CREATE TABLE "odd name" ("a b" text, "c'd" text, PRIMARY KEY ("a b", "c'd"))`,
      'odd name',
      {
        one: { type: DataTypes.TEXT, primaryKey: true, field: 'a b' },
        two: { type: DataTypes.TEXT, primaryKey: true, field: "c'd" },
      },
      ['a b', "c'd"],
    )
    const awkward = `\\ , ' " $1 $9 $$ :x ? {} é 🎬`
    await table.Thing.create({ one: awkward, two: 'x' })
    await table.Thing.update({ two: 'y"\\' }, { where: { one: awkward } })
    await table.Thing.destroy({ where: { one: awkward } })
    const [x, y] = [{ 'a b': awkward, "c'd": 'x' }, { 'a b': awkward, "c'd": 'y"\\' }]
    expect(await rows('public.odd name')).to.deep.equal([x, x, y, y])
    await table.close()
  })

  it('records values as PostgreSQL prints them: microseconds, bytes, numbers, enums, in another schema', async () => {
    await sql(`DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('ok')`)
    const columns = {
      at: 'timestamptz',
      raw: 'bytea',
      amount: 'numeric(30,10)',
      big: 'bigint',
      flag: 'boolean',
      mood: 'shop.mood',
      real: 'float8',
      fixed: 'char(5)',
    }
    const table = await captured(
      `CREATE TABLE shop.things (${
        Object.entries(columns).map(([name, type]) => `${name} ${type}`).join(', ')
      }, label text, PRIMARY KEY (at, fixed))`,
      'things',
      {
        at: { type: DataTypes.DATE, primaryKey: true },
        fixed: { type: DataTypes.STRING(5), primaryKey: true },
        label: DataTypes.TEXT,
      },
      Object.keys(columns),
      'shop',
    )
    await sql(
      `INSERT INTO shop.things VALUES ('2020-01-02 03:04:05.678901+00', '\\xdeadbeef', 12345678901234567890.0123456789, 9007199254740993, true, 'ok', 0.1, 'ab', 'x')`,
    )
    await table.Thing.update({ label: 'y' }, { where: {} })
    expect(await rows('shop.things')).to.deep.equal([], 'label is not read')
    await table.Thing.update({ fixed: 'cd' }, { where: { fixed: 'ab' } })
    await sql(`CREATE TEMP TABLE back AS SELECT 1`)
    const recorded = await rows('shop.things')
    expect(recorded).to.have.length(2)
    const casts = Object.entries(columns).map(([name, type]) =>
      `t.${name} = (c.image ->> '${name}')::${type} AS ${name}`
    )
    const [[same]] = await library.outside.query(
      `SELECT ${
        casts.join(', ')
      } FROM shop.things t, (SELECT rows -> 0 AS image FROM elastic_umzug.changes ORDER BY id DESC LIMIT 1) c`,
    ) as unknown as [[Record<string, boolean>]]
    expect(same).to.deep.equal(Object.fromEntries(Object.keys(columns).map((name) => [name, true])))
    await table.close()
  })

  it('gives back a column that two attributes stand for', async () => {
    const table = await captured('CREATE TABLE twice (id int PRIMARY KEY, label text)', 'twice', {
      id: { type: DataTypes.INTEGER, primaryKey: true },
      label: DataTypes.TEXT,
      title: { type: DataTypes.TEXT, field: 'label' },
    }, ['id'])
    const made = await table.Thing.create({ id: 1, label: 'x' })
    expect(made.get('label')).to.equal('x')
    expect(await rows('public.twice')).to.deep.equal([{ id: '1' }])
    await table.close()
  })

  it('records a table without a primary key when its rows move', async () => {
    const table = await captured(
      'CREATE TABLE keyless (a int, b int); INSERT INTO keyless VALUES (1, 1), (1, 2)',
      'keyless',
      {
        a: { type: DataTypes.INTEGER, primaryKey: true },
        b: DataTypes.INTEGER,
      },
      ['a', 'b'],
    )
    await table.Thing.update({ b: 9 }, { where: { b: 1 } })
    expect(await rows('public.keyless')).to.deep.equal([{ a: '1', b: '1' }, { a: '1', b: '9' }])
    await table.close()
  })

  it('records partitions under the name of their table, and a row that moves between them', async () => {
    const table = await captured(
      `CREATE TABLE parted (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
       CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1); CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2)`,
      'parted',
      { id: { type: DataTypes.INTEGER, primaryKey: true }, part: { type: DataTypes.INTEGER, primaryKey: true } },
      ['id', 'part'],
    )
    await table.Thing.bulkCreate([{ id: 1, part: 1 }, { id: 2, part: 2 }])
    await table.Thing.update({ part: 2 }, { where: { id: 1 } })
    expect(await rows('public.parted')).to.deep.equal([
      { id: '1', part: '1' },
      { id: '2', part: '2' },
      { id: '1', part: '1' },
      { id: '1', part: '2' },
    ])
    await table.close()
  })

  it('records every update of a table whose triggers or generated columns change more than is set', async () => {
    const table = await captured(
      `CREATE TABLE derived (id int PRIMARY KEY, given int, doubled int GENERATED ALWAYS AS (given * 2) STORED); INSERT INTO derived VALUES (1, 1)`,
      'derived',
      { id: { type: DataTypes.INTEGER, primaryKey: true }, given: DataTypes.INTEGER },
      ['id'],
    )
    await table.Thing.update({ given: 2 }, { where: { id: 1 } })
    const change = { table_name: 'public.derived', rows: [{ id: '1' }], columns: null }
    expect(await library.recorded()).to.deep.equal([change, change])
    await table.close()
  })

  it('records what a row left when a trigger moves it', async () => {
    const table = await captured(
      `CREATE TABLE moved (id int PRIMARY KEY, label text, shelf text);
       INSERT INTO moved VALUES (1, 'x', 'a'), (2, 'x', 'b');
       CREATE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.shelf := NEW.label; RETURN NEW; END $$;
       CREATE TRIGGER moved BEFORE UPDATE ON moved FOR EACH ROW EXECUTE FUNCTION moved()`,
      'moved',
      { id: { type: DataTypes.INTEGER, primaryKey: true }, label: DataTypes.TEXT },
      ['id', 'shelf'],
    )
    await table.Thing.update({ label: 'c' }, { where: { id: 1 } })
    await table.Thing.upsert({ id: 2, label: 'd' })
    expect(await rows('public.moved')).to.deep.equal([
      { id: '1', shelf: 'a' },
      { id: '1', shelf: 'c' },
      { id: '2', shelf: 'b' },
      { id: '2', shelf: 'd' },
    ])
    await table.close()
  })

  for (const parted of [false, true]) {
    it(`an upsert that meets rows inserted since it looked records the table${parted ? ', with partitions' : ''}`, async () => {
      const name = parted ? 'seats_parted' : 'seats'
      const table = await captured(
        `CREATE TABLE ${name} (hall int, number int, guest int, PRIMARY KEY (hall, number)) ${
          parted ? `PARTITION BY LIST (hall); CREATE TABLE ${name}_1 PARTITION OF ${name} DEFAULT` : ''
        }`,
        name,
        {
          hall: { type: DataTypes.INTEGER, primaryKey: true },
          number: { type: DataTypes.INTEGER, primaryKey: true },
          guest: DataTypes.INTEGER,
        },
        ['hall', 'number', 'guest'],
      )
      const whole = async () => (await library.recorded()).filter((each) => each.rows === null).length
      const seats = (size: number, guest: number) =>
        Array.from({ length: size }, (_, at) => ({ hall: at % 2, number: at, guest }))
      const upsert = (size: number, guest: number, options = {}) =>
        table.Thing.bulkCreate(seats(size, guest), { updateOnDuplicate: ['guest'], ...options })
      const inserted = async (size: number, values: string, options = {}) => {
        table.once(() => sql(`INSERT INTO ${name} VALUES ${values}`))
        return await upsert(size, 2, options)
      }
      await upsert(5, 1)
      await upsert(10, 1)
      await table.Thing.upsert({ hall: 0, number: 2, guest: 3 })
      expect(await whole()).to.equal(0)
      await inserted(11, '(0, 10, 7)')
      expect(await whole()).to.equal(1)
      const made = await inserted(12, '(1, 11, 7)', { returning: ['*'] })
      expect(await whole()).to.equal(2)
      expect(Object.keys(made[11]!.get())).to.have.members(['hall', 'number', 'guest'])
      await inserted(300, '(0, 298, 7)')
      expect(await whole()).to.equal(3)
      // Columns of a composite key are looked up each by itself: what is locked beside does not count.
      await sql(`DELETE FROM ${name}; INSERT INTO ${name} VALUES (0, 1, 1), (1, 0, 1)`)
      await inserted(2, '(0, 0, 7)')
      expect(await whole()).to.equal(4)
      await table.close()
    })
  }

  it('passes writes to a view on, with one warning', async () => {
    const table = await captured('CREATE VIEW seen AS SELECT id, label FROM tags', 'seen', {
      id: { type: DataTypes.BIGINT, primaryKey: true },
      label: DataTypes.TEXT,
    }, ['id'])
    await table.Thing.update({ label: 'x' }, { where: { id: 1 } })
    await table.Thing.update({ label: 'y' }, { where: { id: 1 } })
    expect(await library.recorded()).to.deep.equal([])
    expect(table.warnings).to.have.length(1)
    expect(table.warnings[0]).to.include('public.seen')
    await table.close()
  })

  it('follows a self-reference through all its levels', async () => {
    const table = await captured(
      `CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE);
       INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 3), (5, NULL); UPDATE tree SET parent = 1 WHERE id = 1`,
      'tree',
      { id: { type: DataTypes.INTEGER, primaryKey: true }, parent: DataTypes.INTEGER },
      ['id', 'parent'],
    )
    await table.Thing.destroy({ where: { id: 1 } })
    expect(new Set((await rows('public.tree')).map((each) => each.id))).to.deep.equal(new Set(['1', '2', '3', '4']))
    await table.close()
  })

  it('looks at the children of a row that is reached twice, once set to null and once deleted', async () => {
    const table = await captured(
      `CREATE TABLE root (id int PRIMARY KEY);
       CREATE TABLE branch (id int PRIMARY KEY, a int REFERENCES root ON DELETE SET NULL, b int REFERENCES root ON DELETE CASCADE, UNIQUE (id, a));
       CREATE TABLE leaf (id int PRIMARY KEY, branch_id int REFERENCES branch ON DELETE CASCADE, a int, FOREIGN KEY (branch_id, a) REFERENCES branch (id, a) ON UPDATE CASCADE);
       INSERT INTO root VALUES (1); INSERT INTO branch VALUES (1, 1, 1); INSERT INTO leaf VALUES (1, 1, NULL)`,
      'leaf',
      { id: { type: DataTypes.INTEGER, primaryKey: true } },
      ['id', 'a'],
    )
    await table.Thing.sequelize!.getQueryInterface().bulkDelete('root', { id: 1 })
    expect(new Set((await rows('public.leaf')).map((each) => each.id))).to.deep.equal(new Set(['1']))
    await table.close()
  })

  it('goes through a query interface that somebody derived from the captured one', async () => {
    const queryInterface = app.sequelize.getQueryInterface()
    const sent: string[] = []
    const query = (sql: string, options: object) => {
      sent.push(sql)
      return app.sequelize.query(sql, options)
    }
    const derived = Object.create(queryInterface, {
      sequelize: { value: Object.create(app.sequelize, { query: { value: query } }) },
    })
    await derived.bulkInsert('tags', [{ label: 'x' }])
    expect(sent.filter((each) => each.includes('INSERT INTO "tags"'))).to.have.length(1)
    expect(await rows('public.tags')).to.deep.equal([{ id: '4' }])
  })

  it('sees a foreign key that came later', async () => {
    await sql('CREATE TABLE later (id int PRIMARY KEY, tag_id bigint); INSERT INTO later VALUES (1, 3)')
    const watched = { ...reads, later: { columns: ['id', 'tag_id'], capture: ['id', 'tag_id'] } }
    const sequelize = new Sequelize(world.databaseUrl, { logging: false })
    installCapture({
      sequelize,
      definitions: definitionsOf(sequelize, watched),
      schema: 'elastic_umzug',
      wake: () => {},
    })
    const remove = (id: number) => sequelize.getQueryInterface().bulkDelete('tags', { id })
    await remove(1)
    await sql('ALTER TABLE later ADD FOREIGN KEY (tag_id) REFERENCES tags ON DELETE CASCADE')
    await halfASecondLater(() => remove(3))
    expect(await rows('public.later')).to.deep.equal([{ id: '1', tag_id: '3' }])
    await sequelize.close()
  })

  it('sees a trigger that came later, and another function of it', async () => {
    const table = await captured(
      `CREATE TABLE places (id int PRIMARY KEY, label text, shelf text); INSERT INTO places VALUES (1, 'x', 'a');
       CREATE FUNCTION places() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.shelf := NEW.label; RETURN NEW; END $$`,
      'places',
      { id: { type: DataTypes.INTEGER, primaryKey: true }, label: DataTypes.TEXT },
      ['id', 'shelf'],
    )
    const shelves = async () => (await rows('public.places')).map((each) => each.shelf)
    await sql('CREATE TRIGGER places AFTER UPDATE ON places FOR EACH ROW EXECUTE FUNCTION places()')
    await table.Thing.update({ label: 'y' }, { where: { id: 1 } })
    expect(await shelves()).to.deep.equal([])
    await sql('CREATE OR REPLACE TRIGGER places BEFORE UPDATE ON places FOR EACH ROW EXECUTE FUNCTION places()')
    await halfASecondLater(() => table.Thing.update({ label: 'b' }, { where: { id: 1 } }))
    expect(await shelves()).to.deep.equal(['a', 'b'])
    await table.close()
  })

  it('cuts what one statement writes into changes of at most 1,000 rows', async () => {
    const { sequelize, models: { Tag } } = app
    const sizes = async () => {
      const all = await library.recorded()
      const found = all.filter((each) => each.table_name === 'public.tags').map(({ rows }) => rows!.length)
      await sql('DELETE FROM elastic_umzug.changes')
      return found.sort((a, b) => b - a)
    }
    await Tag.bulkCreate(Array.from({ length: 2_500 }, (_, at) => ({ id: 1_000 + at, label: 'x' })))
    expect(await sizes()).to.deep.equal([1_000, 1_000, 500])
    await Tag.update({ label: 'y' }, { where: { label: 'x' } })
    expect(await sizes()).to.deep.equal([1_000, 1_000, 500])
    await sequelize.query(`UPDATE tags SET label = 'z' WHERE label = 'y'`)
    expect(await sizes()).to.deep.equal([1_000, 1_000, 500])
    await sequelize.query(`UPDATE tags SET id = -id WHERE label = 'z'`)
    expect(await sizes()).to.deep.equal([1_000, 1_000, 1_000, 1_000, 500, 500])
    await Tag.destroy({ where: { label: 'z' } })
    expect(await sizes()).to.deep.equal([1_000, 1_000, 500])
  })

  it('keeps every read column of a child whose key is changed by the database', async () => {
    await app.models.Author.update({ id: 100 }, { where: { id: 1 } })
    const authors = (await rows('public.books')).filter((each) => each.id === book(1)).map((each) => each.author_id)
    expect(new Set(authors)).to.deep.equal(new Set(['1', '100']))
  })

  describe('the hint to wake', () => {
    it('comes at once without a transaction, once after the outermost commit with one, never after a rollback', async () => {
      const { sequelize, models: { Tag, Author } } = app
      await Tag.create({ label: 'x' })
      expect(wakes).to.equal(1)
      await sequelize.transaction(async (outer) => {
        await Tag.create({ label: 'x' }, { transaction: outer })
        await sequelize.transaction(
          { transaction: outer },
          (transaction) => Author.findOrCreate({ where: { name: 'n' }, transaction }),
        )
        expect(wakes).to.equal(1)
      })
      expect(wakes).to.equal(2)
      await sequelize.transaction(async (transaction) => {
        await Tag.create({ label: 'x' }, { transaction })
        throw new Error('undo')
      }).catch(() => {})
      expect(wakes).to.equal(2)
      await Author.findOrCreate({ where: { name: 'other' } })
      await Author.destroy({ where: { name: 'other' } })
      await Author.truncate({ cascade: true })
      expect(wakes).to.equal(5)
    })
    it('waits for the outermost commit when only something nested writes', async () => {
      const { sequelize, models: { Tag, Author } } = app
      await sequelize.transaction(async (outer) => {
        await sequelize.transaction(
          { transaction: outer },
          (transaction) => Tag.create({ label: 'x' }, { transaction }),
        )
        expect(wakes).to.equal(0)
      })
      expect(wakes).to.equal(1)
      await sequelize.transaction((transaction) => Author.findOrCreate({ where: { name: 'n' }, transaction }))
      expect(wakes).to.equal(2)
    })
    it('does not disturb the write when it throws', async () => {
      const other = openApp(world.databaseUrl, {
        pool: 1,
        wake: () => {
          throw new Error('asleep')
        },
      })
      await other.models.Tag.create({ label: 'x' })
      await other.sequelize.transaction((transaction) => other.models.Tag.create({ label: 'y' }, { transaction }))
      await other.close()
    })
  })

  it('refuses a write that cannot be recorded, saying which command to run', async () => {
    const sequelize = new Sequelize(world.databaseUrl, { logging: false })
    const Tag = sequelize.define('Tag', { label: DataTypes.TEXT }, { tableName: 'tags', timestamps: false })
    installCapture({ sequelize, definitions: definitionsOf(sequelize), schema: 'not_there', wake: () => {} })
    const error = await Tag.create({ label: 'lost?' }).then(() => undefined, (error) => error)
    expect(error.code).to.equal('SCHEMA_MISSING')
    expect(error.message).to.include('npx umzug up')
    expect(await Tag.count({ where: { label: 'lost?' } })).to.equal(0)
    await sequelize.close()
  })
})
