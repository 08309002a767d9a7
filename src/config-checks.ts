/**
 * What is wrong with a config.
 * @module
 */
import type { CaptureMode, Config, MigrationStorage } from './config.ts'

/** What is wrong with a value, and what to do about it. */
export interface Fault {
  what: string
  next: string
}

/** Looks at one value of a config; undefined when it can be used. */
type Check = (value: unknown, name: string) => Fault | undefined

/** The first thing that is wrong with a config; undefined where nothing is. */
export function faultOf(config: unknown): Fault | undefined {
  if (!isObject(config)) {
    const what = `it exports ${config === null ? 'null' : typeof config}, not an object`
    return { what, next: 'export default defineConfig({ … })' }
  }
  for (const [name, check] of Object.entries(checks)) {
    const fault = config[name] === undefined && name !== 'sequelize' ? undefined : check(config[name], name)
    if (fault) return fault
  }
  return unknownKey(config, Object.keys(checks), '') ?? withoutClient(config)
}

const text = must((value) => typeof value === 'string', 'is not text', (name) => `give \`${name}\` a text`)
const count = must(
  (value) => Number.isInteger(value) && (value as number) > 0,
  (value) => `is ${String(value)}`,
  (name) => `give \`${name}\` a whole number above 0, or leave it out`,
)

// One for every key, which the type holds: a key without a check is one that nobody may give.
const checks: Record<keyof Config, Check> = {
  sequelize: checkSequelize,
  elasticsearch: must(
    isClient,
    'is not a client',
    "give one: elasticsearch: new Client({ node }) of '@elastic/elasticsearch'",
  ),
  // Umzug takes so much that only the loader can tell.
  migrations: () => undefined,
  migrationStorage: checkStorage,
  templates: text,
  indexes: must(isDefinitions, 'is not an array of definitions', 'make each with defineIndex({ … })'),
  capture: checkCapture,
  onBypass: must(
    (value) => ['capture', 'warn', 'error'].includes(value as string),
    (value) => `is ${String(value)}`,
    "give `onBypass` 'capture', 'warn' or 'error'",
  ),
  captureReplicated: must((value) => typeof value === 'boolean', 'is not true or false', 'give one of them'),
  prefix: checkPrefix,
  schema: must((value) => typeof value === 'string' && value !== '', 'is not the name of a schema', 'give it as text'),
  tag: text,
  require: must(isTexts, 'is not an array of text', "give names of modules: require: ['@babel/register']"),
  leaseMs: count,
  pollMs: count,
  listen: must((value) => typeof value === 'boolean', 'is not true or false', 'give one of them'),
  abandonMs: count,
  keepRetired: must(
    (value) => Number.isInteger(value) && (value as number) >= 0,
    (value) => `is ${String(value)}`,
    (name) => `give \`${name}\` a whole number, 0 or above, or leave it out`,
  ),
  batchSize: count,
  concurrency: count,
  maxAttempts: count,
}

function must(
  isRight: (value: unknown) => boolean,
  what: string | ((value: unknown) => string),
  next: string | ((name: string) => string),
): Check {
  return (value, name) =>
    isRight(value) ? undefined : {
      what: `\`${name}\` ${typeof what === 'string' ? what : what(value)}`,
      next: typeof next === 'string' ? next : next(name),
    }
}

function checkSequelize(value: unknown): Fault | undefined {
  const isOne = !isObject(value) || Object.getPrototypeOf(value) !== Object.prototype
  const names = isOne ? [] : Object.keys(value)
  const faults = names.map((each) => checkInstance((value as Record<string, unknown>)[each], `\`sequelize.${each}\``))
  // Options of a connection, say, are no instances by name.
  if (faults.every(Boolean)) return checkInstance(value, '`sequelize`')
  const wrong = names.find((each) => !/^[A-Za-z][\w-]*$/.test(each))
  if (wrong !== undefined) {
    return {
      what: `\`sequelize\` has a database "${wrong}"`,
      next: 'name databases by letters, digits, _ and -: sequelize: { default, archive }',
    }
  }
  if (new Set(Object.values(value as object)).size < names.length) {
    return { what: '`sequelize` has one instance under two names', next: 'remove one of the names' }
  }
  return faults.find(Boolean)
}

function checkInstance(value: unknown, name: string): Fault | undefined {
  const methods = ['query', 'define', 'getQueryInterface']
  const sequelize = value as Record<string, unknown> | null | undefined
  if (!methods.every((each) => typeof sequelize?.[each] === 'function')) {
    return {
      what: `${name} is not a Sequelize instance`,
      next: "give the application's own: sequelize: new Sequelize(…)",
    }
  }
  const dialect = (value as { getDialect?: () => string }).getDialect?.() ?? 'postgres'
  if (dialect === 'postgres') return undefined
  return { what: `${name} speaks ${dialect}`, next: 'use an instance with dialect: "postgres"' }
}

const storageKeys: Record<keyof MigrationStorage, Check> = { tableName: text, schema: text, columnName: text }

function checkStorage(value: unknown, name: string): Fault | undefined {
  const known = Object.keys(storageKeys)
  if (!isObject(value)) return { what: `\`${name}\` is not an object`, next: `give it ${known.join(', ')}` }
  for (const [key, check] of Object.entries(storageKeys)) {
    const fault = value[key] === undefined ? undefined : check(value[key], `${name}.${key}`)
    if (fault) return fault
  }
  return unknownKey(value, known, `${name}.`)
}

function checkPrefix(value: unknown, name: string): Fault | undefined {
  const what = `the prefix "${String(value)}"`
  if (typeof value !== 'string' || !/^(?:[a-z0-9][a-z0-9_-]*)?$/.test(value)) {
    return { what: `${what} is not lower-case letters, digits, _ and -`, next: `correct \`${name}\`` }
  }
  // Elasticsearch takes names of 255 bytes; a definition's own may have 200.
  return value.length > 40 ? { what: `${what} is longer than 40 characters`, next: `shorten \`${name}\`` } : undefined
}

const modes: unknown[] = ['hooks', 'triggers'] satisfies CaptureMode[]

function checkCapture(value: unknown, name: string): Fault | undefined {
  if (modes.includes(value)) return undefined
  const next = `give ${modes.join(' or ')}, for all or by model: ${name}: { Book: 'triggers', '*': 'hooks' }`
  if (!isObject(value)) return { what: `\`${name}\` is ${String(value)}`, next }
  const wrong = Object.keys(value).find((each) => !modes.includes(value[each]))
  return wrong === undefined ? undefined : { what: `\`${name}.${wrong}\` is ${String(value[wrong])}`, next }
}

function unknownKey(given: object, known: readonly string[], path: string): Fault | undefined {
  const other = Object.keys(given).find((each) => !known.includes(each))
  if (other === undefined) return undefined
  return {
    what: `\`${path}${other}\` is nothing that is read; known are: ${known.join(', ')}`,
    next: `correct \`${other}\`, or remove it`,
  }
}

function withoutClient({ indexes, elasticsearch }: Partial<Config>): Fault | undefined {
  if (!indexes?.length || elasticsearch !== undefined) return undefined
  return {
    what: '`indexes` are defined, but there is no `elasticsearch`',
    next: 'add elasticsearch: new Client({ node })',
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}

function isDefinitions(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each?.hash === 'string')
}

function isClient(value: unknown): boolean {
  return typeof (value as { transport?: { request?: unknown } } | null)?.transport?.request === 'function'
}
