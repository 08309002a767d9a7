/**
 * The text of a key: `_id` of a document, and how changed rows are named. One part is its plain text; several are
 * joined by `,` with `\` and `,` inside a part escaped by `\`.
 * @module
 */
import { quoteName } from '../../src/sql.ts'

/** A key column and its type, as SQL writes it. */
export interface KeyColumn {
  name: string
  type: string
}

/** A column of the unique index by which rows are found and read in order, and its place among the parts of the key. */
export interface UniqueColumn extends KeyColumn {
  part: number
}

/** Of things that go with the parts of a key, those that go with its unique columns. */
export function uniqueOf<T>(unique: readonly UniqueColumn[], parts: readonly T[]): T[] {
  return unique.map(({ part }) => parts[part]!)
}

/** SQL of the key text of a row with this alias. */
export function keyText(alias: string, key: readonly KeyColumn[]): string {
  const parts = key.map((each) => partText(alias, each))
  if (parts.length === 1) return parts[0]!
  return parts.map((each) => `replace(replace(${each}, '\\', '\\\\'), ',', '\\,')`).join(` || ',' || `)
}

// The text of a point in time depends on the session's time zone, and a key must not.
function partText(alias: string, { name, type }: KeyColumn): string {
  const column = `${quoteName(alias)}.${quoteName(name)}`
  return /^timestamp.* with time zone$/.test(type)
    ? `((${column} AT TIME ZONE 'UTC')::text || '+00')`
    : `${column}::text`
}

/** The parts of a key text; undefined when it has not `size` parts. */
export function splitKey(text: string, size: number): string[] | undefined {
  if (size === 1) return [text]
  const parts = ['']
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (char === '\\' && at + 1 < text.length) parts[parts.length - 1] += text[++at]!
    else if (char === ',') parts.push('')
    else parts[parts.length - 1] += char
  }
  return parts.length === size ? parts : undefined
}

/** SQL that compares columns of an alias with values: `("b"."x", "b"."y") > (…, …)`. */
export function compareKey(
  alias: string,
  key: readonly KeyColumn[],
  operator: string,
  values: readonly string[],
): string {
  return `(${keyOrder(alias, key)}) ${operator} (${values.join(', ')})`
}

/** SQL of bound values of columns, typed; the first is `$first`. */
export function boundKey(key: readonly KeyColumn[], first: number): string[] {
  return key.map(({ type }, index) => `$${first + index}::text::${type}`)
}

/** SQL of the order by columns. */
export function keyOrder(alias: string, key: readonly KeyColumn[]): string {
  return key.map(({ name }) => `${quoteName(alias)}.${quoteName(name)}`).join(', ')
}

/** SQL of the parts of a key text that is split by the server: one expression a column, typed. */
export function splitKeySql(text: string, key: readonly KeyColumn[]): string[] {
  if (key.length === 1) return [`${text}::${key[0]!.type}`]
  // Each match is one part up to its separator; what is escaped is taken as it stands.
  const part = `'((?:[^,\\\\]|\\\\.)*)(?:,|$)'`
  const parts = `(SELECT array_agg(regexp_replace(m.part[1], '\\\\(.)', '\\1', 'g') ORDER BY m.n)` +
    ` FROM regexp_matches(${text}, ${part}, 'g') WITH ORDINALITY AS m(part, n))`
  return key.map(({ type }, index) => `(${parts})[${index + 1}]::${type}`)
}

/** SQL of the value of a column in captured rows: text cast to the column's type. */
export function capturedValue(row: string, { name, type }: KeyColumn): string {
  return `(${row} ->> ${quoteText(name)})::${type}`
}

/** Quotes text that must stand in SQL itself, where nothing can be bound. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}
