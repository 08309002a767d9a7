/**
 * Whether the application's own parsers read a column as PostgreSQL itself would put it into JSON.
 * @module
 */
import type { Sequelize } from 'sequelize'
import type { Column } from './catalog.ts'
import { toLine } from './rows.ts'

interface ConnectionManagerLike {
  oidParserMap?: Map<number, unknown>
  getTypeParser?(oid: number, format: string): (text: string) => unknown
  _refreshDynamicOIDs?(): Promise<void>
}

function managerOf(sequelize: Sequelize): ConnectionManagerLike {
  return (sequelize as unknown as { connectionManager: ConnectionManagerLike }).connectionManager
}

/** First oid of types that are no part of PostgreSQL. */
const firstUserOid = 16_384

/** Makes Sequelize learn types that were created after it connected: their arrays would be read as plain text. */
export async function learnTypes(sequelize: Sequelize, columns: readonly Column[]): Promise<void> {
  const manager = managerOf(sequelize)
  const unknown = columns.some(({ oid }) => oid >= firstUserOid && manager.oidParserMap?.has(oid) !== true)
  if (unknown) await manager._refreshDynamicOIDs?.()
}

const instant = ['2020-01-02 03:04:05.678+00', '"2020-01-02T03:04:05.678Z"'] as const
const numeric = ['1', '1'] as const

const samples: Readonly<Record<string, readonly [text: string, json: string]>> = {
  bool: ['t', 'true'],
  int2: numeric,
  int4: numeric,
  oid: numeric,
  float4: numeric,
  float8: numeric,
  json: ['{"a":1}', '{"a":1}'],
  jsonb: ['{"a":1}', '{"a":1}'],
  bytea: ['\\x01', '"AQ=="'],
  timestamptz: instant,
  date: ['2020-01-02', '"2020-01-02"'],
  hstore: ['"a"=>"1"', '{"a":"1"}'],
}

/** True when a value of the column, as it arrives, becomes the JSON that PostgreSQL would make of it. */
export function isParsedAsUsual(sequelize: Sequelize, { oid, typeName, element, kind }: Column): boolean {
  if (kind === 'r') return true
  const [text, json] = samples[element ?? typeName] ?? ['1', '"1"']
  const given = element === null ? text : `{"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"}`
  try {
    return toLine(managerOf(sequelize).getTypeParser?.(oid, 'text')(given)) === (element === null ? json : `[${json}]`)
  } catch {
    // The application could not read it at all, say for want of `pg-hstore`.
    return true
  }
}
