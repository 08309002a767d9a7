import { expect } from 'chai'
import { QueryTypes } from 'sequelize'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { fromModel, type SequelizeSource } from '../../adapters/sequelize/index.ts'
import type { Db, Dependency } from '../../src/ports.ts'
import { type AnyModel, type Bookshop, fillBookshop, openBookshop, pick, randomFrom } from '../support/bookshop.ts'
import { readAll } from '../support/both-ways.ts'
import { changeSomething } from '../support/random-changes.ts'
import { randomOptions } from '../support/random-options.ts'
import { createWorld, type World } from '../support/world.ts'

interface Logged {
  table: string
  old: Record<string, string | null> | null
  new: Record<string, string | null> | null
}

describe('dependencies', () => {
  let world: World
  let db: Db
  let shop: Bookshop

  before(async () => {
    world = await createWorld()
    db = fromSequelize(world.sequelize)
    shop = await openBookshop(world.sequelize)
    await fillBookshop(shop, randomFrom(11), 24)
    await logChanges()
  })
  after(() => world.drop())

  // Every row that changes, by whatever way, with old and new values as text.
  async function logChanges(): Promise<void> {
    await world.sequelize.query(`CREATE TABLE logged ("table" text, old jsonb, new jsonb, n serial);
      CREATE FUNCTION texts(r jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(r)';
      CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO logged VALUES (TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, texts(to_jsonb(OLD)), texts(to_jsonb(NEW))); RETURN NULL; END $$;
      CREATE FUNCTION keys_of(keys text, rows jsonb, cursor text, most int) RETURNS text[] LANGUAGE plpgsql AS $$ DECLARE found text[]; BEGIN
        EXECUTE 'SELECT array_agg(k.key) FROM (' || keys || ') k' INTO found USING rows, cursor, most; RETURN found; END $$`)
    for (const model of Object.values(shop) as AnyModel[]) {
      const table = (world.sequelize.getQueryInterface().queryGenerator as { quoteTable(name: unknown): string })
        .quoteTable(model.getTableName())
      await world.sequelize.query(
        `CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION log_change()`,
      )
    }
  }

  async function keysOf(
    keys: string,
    rows: unknown,
    cursor: string | null = null,
    most = 1_000_000,
  ): Promise<string[]> {
    const [row] = await db.query<{ keys: string[] | null }>(
      'SELECT array_to_json(keys_of($1, $2, $3, $4)) AS keys',
      [keys, JSON.stringify(rows), cursor, most],
    )
    return row!.keys ?? []
  }

  async function concerned(
    source: SequelizeSource,
    dependencies: Dependency[],
    logged: Logged[],
  ): Promise<Set<string>> {
    const found = new Set<string>()
    for (const change of logged) {
      const reads = source.reads.find((each) => `${each.table.schema}.${each.table.name}` === change.table)
      const images = [change.old, change.new].filter((each) => each !== null)
        .map((image) => Object.fromEntries(reads?.capture.map((name) => [name, image[name]]) ?? []))
      const changed = change.old && change.new
        ? Object.keys(change.new).filter((name) => change.old![name] !== change.new![name])
        : null
      for (const each of dependencies.filter(({ table }) => table === change.table)) {
        if (changed && !each.columns.some((name) => changed.includes(name))) continue
        for (const key of await keysOf(each.keys, images)) found.add(key)
      }
    }
    return found
  }

  it('name every document whose content differs after random changes', async () => {
    let different = 0
    for (let seed = 1; seed <= Number(process.env['SEEDS'] ?? 12); seed++) {
      const random = randomFrom(seed)
      const model = pick(random, [
        shop.Book,
        shop.Book,
        shop.Author,
        shop.Chapter,
        shop.Category,
        shop.Tag,
        shop.Country,
      ])
      const source = fromModel(model, randomOptions(random, model, 3))
      const dependencies = await source.dependencies(db)
      for (let step = 0; step < 12; step++) {
        const before = await readAll(source, db, 500)
        await world.sequelize.query('TRUNCATE logged')
        for (let change = 0; change < 2; change++) await changeSomething(shop, random)
        const logged = await world.sequelize.query<Logged>('SELECT * FROM logged ORDER BY n', {
          type: QueryTypes.SELECT,
        })
        const after = await readAll(source, db, 500)
        const changed = [...new Set([...before.keys(), ...after.keys()])]
          .filter((key) => JSON.stringify(before.get(key)) !== JSON.stringify(after.get(key)))
        if (changed.length === 0) continue
        different += changed.length
        const named = await concerned(source, dependencies, logged)
        expect(changed.filter((key) => !named.has(key)), `seed ${seed}, step ${step}: not named`).to.deep.equal([])
      }
    }
    expect(different).to.be.greaterThan(50)
  })

  it('give keys in the order of the rows, in pages after a cursor, also for composite keys with odd characters', async () => {
    for (const model of [shop.Chapter, shop.BookTag, shop.Book, shop.Author, shop.Tag] as AnyModel[]) {
      const source = fromModel(model)
      const [own] = await source.dependencies(db)
      const all = await keysOf(own!.allKeys, null)
      const rows = [...(await readAll(fromModel(model.unscoped()), db, 500)).keys()]
      expect(all.filter((each) => rows.includes(each))).to.deep.equal(rows)
      const paged: string[] = []
      for (let cursor: string | null = null;;) {
        const page = await keysOf(own!.allKeys, null, cursor, 4)
        paged.push(...page)
        if (page.length < 4) break
        cursor = page[page.length - 1]!
      }
      expect(paged).to.deep.equal(all)
    }
  })

  it('page the documents that a changed parent concerns', async () => {
    const source = fromModel(shop.Book, { include: ['author'] })
    const [, author] = await source.dependencies(db)
    const books = await shop.Book.findAll({ order: ['id'] })
    const id = books.find((each) => each.get('authorId'))!.get('authorId')
    const expected = books.filter((each) => each.get('authorId') === id).map((each) => String(each.get('id')))
    expect(await keysOf(author!.keys, [{ id }])).to.deep.equal(expected)
    expect(await keysOf(author!.keys, [{ id }], expected[0], 1)).to.deep.equal(expected.slice(1, 2))
  })

  it('write the key of a changed row as PostgreSQL does, whatever way it was captured', async () => {
    const [own] = await fromModel(shop.Author).dependencies(db)
    expect(own!.own).to.equal(true)
    expect(await keysOf(own!.keys, [{ id: 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11' }])).to.deep.equal([
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    ])
    const [chapter] = await fromModel(shop.Chapter).dependencies(db)
    expect(await keysOf(chapter!.keys, [{ part: 'a,b\\', number: '007' }])).to.deep.equal(['a\\,b\\\\,7'])
  })

  it('hold columns that only join or filter', async () => {
    const source = fromModel(shop.Book, {
      attributes: ['title'],
      where: { published: true },
      include: [{ association: 'chapters', attributes: ['heading'], include: ['notes'] }, {
        association: 'author',
        attributes: [],
      }],
    })
    const [own, chapters, notes, author] = await source.dependencies(db)
    expect(own!.columns).to.have.members(["Ti'tle", 'is_published', 'book_id', 'authorId'])
    expect(chapters!.columns).to.have.members(['part', 'number', 'heading', 'of_book', 'code'])
    expect(notes!.columns).to.include.members(['chapterCode', 'deletedAt'])
    expect(author!.columns).to.have.members(['id', 'deleted_at'])
    expect(source.reads.find((each) => each.model === shop.Chapter)!.capture).to.have.members([
      'part',
      'number',
      'of_book',
    ])
  })

  it('hold every column of a table in which the database itself changes some', async () => {
    await world.sequelize.query(
      `CREATE TABLE people (id serial PRIMARY KEY, first text, last text, whole text GENERATED ALWAYS AS (first || last) STORED)`,
    )
    const { TEXT } = (await import('sequelize')).DataTypes
    const Person = world.sequelize.define('Person', { first: TEXT, whole: TEXT }, {
      tableName: 'people',
      timestamps: false,
    })
    const source = fromModel(Person, { attributes: ['whole'] })
    expect(source.reads[0]!.columns).to.have.members(['id', 'whole'])
    const [own] = await source.dependencies(db)
    expect(own!.columns).to.have.members(['id', 'first', 'last', 'whole'])
    expect(source.reads[0]!.columns).to.have.members(['id', 'first', 'last', 'whole'])
  })
})
