import { expect } from 'chai'
import { DataTypes, type Model, type ModelStatic } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/index.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import type { Db } from '../../src/ports.ts'
import { type ByKey, expectBothWays, readAll, readingOf } from '../support/both-ways.ts'
import { createWorld, type World } from '../support/world.ts'

const samples: Record<string, string[]> = {
  boolean: ['true', 'false'],
  smallint: ['-32768', '32767', '0'],
  integer: ['-2147483648', '2147483647'],
  bigint: ['-9223372036854775808', '9223372036854775807', '0'],
  numeric: ['1.50', '-0.00', '123456789012345678901234567890.123456789', 'NaN'],
  'numeric(10,2)': ['1.005', '-99999999.99'],
  real: ['1.5', '0.1', '-0', '3.4e38', '1e-45', 'NaN', 'Infinity', '-Infinity'],
  'double precision': ['0.1', '-0', '1e300', '5e-324', '1.7976931348623157e308', 'NaN', 'Infinity', '-Infinity', '100'],
  text: [
    '',
    'plain',
    'ünï ☃ 😀',
    `quotes " ' \\ /`,
    'line\nbreak\r\n\ttab',
    '\u0001\u001f\u007f\u2028\u2029',
    '</script>',
  ],
  'varchar(20)': ['abc', ' padded '],
  'char(5)': ['ab', 'abcde'],
  citext: ['MiXed'],
  mood: ['sad', 'very "happy"'],
  uuid: ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
  date: ['2020-02-29', '1969-12-31', '0001-01-01', '12020-01-01', '0044-03-15 BC', 'infinity', '-infinity'],
  time: ['00:00', '23:59:59.999999', '24:00'],
  timetz: ['04:05:06.789-08:00'],
  timestamptz: [
    '2020-01-02 03:04:05.678901+02',
    '2020-01-02 03:04:05.999999Z',
    '2020-01-02 03:04:05.0005Z',
    '2020-01-02 03:04:05Z',
    '1969-12-31 23:59:59.9995Z',
    '1890-01-01 00:00:00.001Z',
    '0099-01-01 00:00Z',
    '0001-01-01 00:00Z',
    '0044-03-15 12:00Z BC',
    '0001-06-01 12:00Z BC',
    '9999-12-31 23:59:59.999Z',
    '10000-01-01 00:00Z',
    '20000-05-05 05:05:05.05Z',
    '290000-01-01 00:00Z',
    'infinity',
    '-infinity',
  ],
  json: ['{"b": 1,\n "a": [1,\t2]}', 'null', '"text"', '[]', '12.50'],
  jsonb: ['{"b": 1, "a": {"c": [null, true, "x\\n"]}}', 'null', '"text"', '[]', '1e3', '{}'],
  bytea: ['\\x', '\\x00ff10', `\\x${'ab'.repeat(100)}`],
  inet: ['10.0.0.1', '10.0.0.1/8', '::1'],
  cidr: ['10.0.0.0/8', '2001:db8::/32'],
  macaddr: ['08:00:2b:01:02:03'],
  int4range: ['[1,5)', 'empty', '(,5)', '[1,)', '(,)'],
  int8range: ['[1,9223372036854775807)'],
  numrange: ['[1.50,2.5]', '(1,2)'],
  daterange: ['[2020-01-01,2020-02-01)', '[infinity,)', '(,2020-01-01)'],
  tstzrange: ['["2020-01-01 00:00:00.123456+00","2020-01-02 00:00:00+00")', '(,"1969-01-01 00:00:00+00"]', 'empty'],
  bit: ['1'],
  'bit varying(8)': ['1010'],
  money: ['12.34'],
  tsvector: [`'cat':1 'dog':2`],
  'integer[]': ['{}', '{1,NULL,2}', '{{1,2},{3,4}}'],
  'bigint[]': ['{1,NULL,9223372036854775807}', '{{1,2},{3,4}}'],
  'numeric[]': ['{1.50,NULL,NaN}'],
  'real[]': ['{0.1,NULL,NaN,-Infinity,-0,-0.5,1e-10}'],
  'double precision[]': ['{0.1,NULL,NaN,Infinity,-0}', '{{-0,-1},{-0,2}}'],
  'boolean[]': ['{t,NULL,f}'],
  'text[]': ['{a,"b,\\"c\\"",NULL,"NULL","\n"}'],
  'varchar(9)[]': ['{a,"ü"}'],
  'mood[]': ['{sad,NULL,"very \\"happy\\""}'],
  'citext[]': ['{A,b}'],
  'uuid[]': ['{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'],
  'inet[]': ['{10.0.0.1,::1}'],
  'date[]': ['{2020-01-01,NULL,infinity}'],
  'time[]': ['{10:00}'],
  'jsonb[]': ['{"{\\"a\\": 1}",NULL,"[1]"}'],
  positive: ['7'],
}

const onlyRows: Record<string, string> = {
  timestamp: '2020-01-02 03:04:05',
  interval: '1 day 2 hours',
  point: '(1,2)',
  tsrange: '["2020-01-01 00:00:00","2020-01-02 00:00:00")',
  'timestamptz[]': '{2020-01-01 00:00:00+00}',
  'bytea[]': '{"\\\\x01"}',
  'json[]': '{"{}"}',
  'int4range[]': '{"[1,2)"}',
  'positive[]': '{7}',
}

describe('documents by PostgreSQL and by Sequelize', () => {
  let world: World
  let db: Db

  before(async () => {
    world = await createWorld()
    db = fromSequelize(world.sequelize)
    // The application is connected before these types exist.
    await world.sequelize.authenticate()
    await world.sequelize.query(`CREATE EXTENSION citext; CREATE EXTENSION hstore;
      CREATE TYPE mood AS ENUM ('sad', 'very "happy"'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0)`)
  })
  after(() => world.drop())

  async function modelOf(type: string, values: readonly string[]): Promise<ModelStatic<Model>> {
    const name = `t_${type.replaceAll(/\W+/g, '_')}`
    await world.sequelize.query(`CREATE TABLE "${name}" (id serial PRIMARY KEY, value ${type})`)
    for (const value of [...values, null]) {
      await world.sequelize.query(`INSERT INTO "${name}" (value) VALUES ($1::text::${type})`, { bind: [value] })
    }
    return world.sequelize.define(name, { value: DataTypes.TEXT }, { timestamps: false, tableName: name })
  }

  for (const [type, values] of Object.entries(samples)) {
    it(`are equal for ${type}`, async () => {
      const documents: ByKey = await expectBothWays(db, await modelOf(type, values))
      expect(documents.size).to.equal(values.length + 1)
      expect(documents.get(String(values.length + 1))).to.deep.equal({ id: values.length + 1, value: null })
    })
  }

  it('are made for hstore, also without the package that Sequelize needs for it', async () => {
    const model = await modelOf('hstore', ['a=>1, b=>NULL', '', '"key ü"=>"\\"x, y\\""'])
    const documents = await readAll(fromModel(model), db)
    expect([...documents.values()].map((each) => (each as { value: unknown }).value))
      .to.deep.equal([{ a: '1', b: null }, {}, { 'key ü': '"x, y"' }, null])
  })

  for (const [type, value] of Object.entries(onlyRows)) {
    it(`are made by Sequelize alone for ${type}`, async () => {
      const { reason } = await readingOf(db, await modelOf(type, [value]), {})
      expect(reason).to.match(/type/)
    })
  }
})
