/**
 * The writing methods of Sequelize's query interface: every write of a model ends in one of them, with or without
 * hooks, whatever the method of the model.
 * @module
 */
import type { Sequelize, Transaction } from 'sequelize'
import type { Statement } from './changes.ts'
import { isKnown, isRowless } from './session.ts'
import type { TableName } from './watch.ts'

/** Options of a write, as far as they are read. */
export interface WriteOptions {
  transaction?: Transaction | null
  truncate?: boolean
  cascade?: boolean
  limit?: number | null
  returning?: unknown
  type?: string
  instance?: unknown
  updateOnDuplicate?: readonly string[]
  upsertKeys?: readonly string[]
  [isKnown]?: true
  [isRowless]?: true
  [option: string]: unknown
}

/** One write. */
export interface Write {
  kind: 'insert' | 'update' | 'upsert' | 'delete' | 'truncate'
  tableName: TableName
  options: WriteOptions
  /** Columns that are set, with their values; of an upsert, those set where the row exists. Empty for others. */
  values: Readonly<Record<string, unknown>>
  /** Rows given to an upsert. */
  records: readonly Readonly<Record<string, unknown>>[]
  /** True when it writes the one row of an instance. */
  single: boolean
  /** SQL of the condition of an update or delete, as Sequelize itself makes it; its values are added to `bind`. */
  condition(generator: GeneratorLike, bind: unknown[]): string
  /** Calls the method with other options. */
  call(self: object, options: WriteOptions): Promise<unknown>
  /** The same for a statement that is not recorded on its way: it must not be taken for a raw one. */
  pass(self: object, options: WriteOptions): Promise<unknown>
}

/** A method of the query interface. */
export type Method = (this: object, ...args: unknown[]) => Promise<unknown>

/** The members of a query interface that are used. */
export interface QueryInterfaceLike {
  sequelize: Sequelize
  queryGenerator: GeneratorLike
}

/** The members of a query generator that are used. */
export interface GeneratorLike {
  whereQuery(where: unknown, options?: object): string
  getWhereConditions(where: unknown, tableName: null, model: unknown, options?: object): string
  generateReturnValues(attributes: unknown, options: object): { returningFragment: string; returnFields: string[] }
  bindParam(bind: unknown[]): (value: unknown) => string
  escape(value: unknown): string
}

type Values = Readonly<Record<string, unknown>>
type Described = Pick<Write, 'kind' | 'tableName'> & Partial<Write>

const none: Values = {}

/** The writing methods: where their options stand, and what a call of each means. */
export const methods: Readonly<
  Record<string, { optionsAt: number; describe(args: unknown[], options: WriteOptions): Described }>
> = {
  insert: {
    optionsAt: 3,
    describe: ([, tableName]) => ({ kind: 'insert', tableName: tableName as TableName, single: true }),
  },
  upsert: {
    optionsAt: 4,
    describe: ([tableName, record, values]) => ({
      kind: 'upsert',
      tableName: tableName as TableName,
      values: values as Values,
      records: [record as Values],
    }),
  },
  bulkInsert: {
    optionsAt: 2,
    describe: ([tableName, records], { updateOnDuplicate }) => ({
      kind: updateOnDuplicate ? 'upsert' : 'insert',
      tableName: tableName as TableName,
      records: records as Values[],
      values: unknownValues(updateOnDuplicate ?? []),
    }),
  },
  update: {
    optionsAt: 4,
    describe: ([, tableName, values, where], options) => ({
      ...update(tableName, values as Values, where, options),
      single: true,
    }),
  },
  bulkUpdate: {
    optionsAt: 3,
    describe: ([tableName, values, where], options) => update(tableName, values as Values, where, options),
  },
  delete: {
    optionsAt: 3,
    describe: ([instance, tableName, where]) => ({
      ...remove('delete', tableName, where, (instance as object).constructor),
      single: true,
    }),
  },
  bulkDelete: {
    optionsAt: 2,
    describe: ([tableName, where, , model], options) =>
      remove(options.truncate ? 'truncate' : 'delete', tableName, where, model, options),
  },
  increment: { optionsAt: 5, describe: sum },
  decrement: { optionsAt: 5, describe: sum },
}

/** Stands for a value that only the database knows. */
export const unknownValue: unique symbol = Symbol('unknown value')

function unknownValues(columns: readonly string[]): Values {
  return Object.fromEntries(columns.map((each) => [each, unknownValue]))
}

function update(tableName: unknown, values: Values, where: unknown, options: WriteOptions): Described {
  const condition = (generator: GeneratorLike, bind: unknown[]) =>
    withoutWord(generator.whereQuery(where, { ...options, bindParam: generator.bindParam(bind) }))
  return { kind: 'update', tableName: tableName as TableName, values, condition }
}

function sum([, tableName, where, amounts, extra]: unknown[]): Described {
  const values = unknownValues(Object.keys({ ...amounts as Values, ...extra as Values }))
  const condition = (generator: GeneratorLike) => withoutWord(generator.whereQuery(where))
  return { kind: 'update', tableName: tableName as TableName, values, condition }
}

function remove(
  kind: 'delete' | 'truncate',
  tableName: unknown,
  where: unknown,
  model: unknown,
  options: WriteOptions = {},
): Described {
  const condition = (generator: GeneratorLike) => generator.getWhereConditions(where, null, model, options)
  return { kind, tableName: tableName as TableName, condition }
}

function withoutWord(where: string): string {
  return where.replace(/^WHERE /, '')
}

/** Describes one call of a method. */
export function describeWrite(name: string, original: Method, args: unknown[]): Write {
  const { optionsAt, describe } = methods[name]!
  const options = (args[optionsAt] ?? {}) as WriteOptions
  const call = (self: object, given: WriteOptions) => {
    const changed = [...args]
    changed[optionsAt] = given
    return original.apply(self, changed)
  }
  return {
    values: none,
    records: [],
    single: false,
    condition: () => '',
    ...describe(args, options),
    options,
    call,
    pass: (self, given) => call(self, { ...given, [isKnown]: true }),
  }
}

/** How a call is changed on its way. */
export interface Turn {
  /** Makes another statement of the one that Sequelize made, when it is sent. */
  rewrite?(statement: Statement): string
  /** Takes the place of the condition. */
  condition?: string
  /** Sends the statement, with the options that Sequelize completed or with others. */
  around?(options: WriteOptions, send: (options: WriteOptions) => Promise<unknown>): Promise<unknown>
  /** True when it writes the one row of an instance. */
  single?: boolean
}

/**
 * A query interface that is the given one, except that the one statement of a call is changed on its way.
 * What Sequelize does around it (values, results, errors) stays its own.
 */
export function turned(queryInterface: QueryInterfaceLike, turn: Turn): object {
  const { rewrite, condition, around = straight, single = false } = turn
  const { sequelize, queryGenerator } = queryInterface
  let returning: Statement['returning']
  const generator = Object.create(queryGenerator) as GeneratorLike
  generator.generateReturnValues = function (attributes, options) {
    const made = queryGenerator.generateReturnValues.call(this, attributes, options)
    returning = { fragment: made.returningFragment, fields: made.returnFields }
    return made
  }
  if (condition !== undefined) {
    generator.whereQuery = () => `WHERE ${condition}`
    generator.getWhereConditions = () => condition
  }
  const query = async (given: Given, options: WriteOptions): Promise<unknown> => {
    const sql = typeof given === 'string' ? given : given.query
    if (!rewrite || sql === '') return await around(options, (other) => send(sequelize, given, other))
    const counted = options.instance !== undefined || options.type !== 'INSERT'
    let changed = sql
    try {
      const result = await around(options, (other) => {
        changed = rewrite({ sql, returning, counted, single })
        if (single && !returning) other[isRowless] = true
        return send(sequelize, typeof given === 'string' ? changed : { ...given, query: changed }, other)
      })
      return returning ? result : withoutRows(result, sql, options)
    } catch (error) {
      throw withSql(error, changed, sql)
    }
  }
  return Object.create(queryInterface, {
    queryGenerator: { value: generator },
    sequelize: { value: Object.create(sequelize, { query: { value: query } }) },
  })
}

type Given = string | { query: string; bind?: unknown[] }

const straight: NonNullable<Turn['around']> = (options, send) => send(options)

function send(sequelize: Sequelize, sql: Given, options: WriteOptions): Promise<unknown> {
  // Options that Sequelize made for this statement alone.
  return sequelize.query(sql as string, Object.assign(options, { [isKnown]: true }) as never)
}

// Rows without columns stand for rows that only had to be counted: nobody asked for them.
function withoutRows(result: unknown, sql: string, { type, instance }: WriteOptions): unknown {
  if (type === 'DELETE') return []
  if (!Array.isArray(result) || instance) return result
  if (type === 'UPDATE' || type === 'INSERT') return [[], result[1]]
  // Of an untyped statement the driver's own answer is given out as well.
  const raw = result[1] as { command?: string; rows?: unknown[] } | undefined
  if (raw?.command) Object.assign(raw, { command: sql.trimStart().split(' ', 1)[0], rows: [] })
  return [[], raw]
}

// The caller reads the statement that Sequelize made, and logs of errors group by it.
function withSql(error: unknown, from: string, to: string): unknown {
  const { parent } = error as { parent?: unknown }
  for (const each of [error, parent] as { sql?: string }[]) if (each?.sql === from) each.sql = to
  return error
}
