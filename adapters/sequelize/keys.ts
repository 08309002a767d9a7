/**
 * The text of a key: `_id` of a document, and how changed rows are named. One part is its plain text; several are
 * joined by `,` with `\` and `,` inside a part escaped by `\`.
 * @module
 */
import { quoteName } from '../../src/sql.ts'

/** A key column and its type, as the catalog prints it. */
export interface KeyColumn {
  name: string
  type: string
}

/** SQL of the key text of a row with this alias. */
export function keyText(alias: string, key: readonly KeyColumn[]): string {
  const parts = key.map(({ name }) => `${alias}.${quoteName(name)}::text`)
  if (parts.length === 1) return parts[0]!
  return `concat_ws(',', ${parts.map((each) => `replace(replace(${each}, '\\', '\\\\'), ',', '\\,')`).join(', ')})`
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

/** SQL that compares the key of an alias with bound texts: `(a, b) > ($1::int, $2::uuid)`. */
export function compareKey(alias: string, key: readonly KeyColumn[], operator: string, first: number): string {
  const columns = key.map(({ name }) => `${alias}.${quoteName(name)}`).join(', ')
  const values = key.map(({ type }, index) => `$${first + index}::text::${type}`).join(', ')
  return `(${columns}) ${operator} (${values})`
}

/** SQL of the order by key. */
export function keyOrder(alias: string, key: readonly KeyColumn[]): string {
  return key.map(({ name }) => `${alias}.${quoteName(name)}`).join(', ')
}

/** SQL of the parts of a key text inside SQL that knows no bound parts: one expression a column, typed. */
export function splitKeySql(text: string, key: readonly KeyColumn[]): string[] {
  if (key.length === 1) return [`${text}::${key[0]!.type}`]
  // Escaped separators become characters that no text of PostgreSQL's text format of a key would hold by itself.
  const marked = `replace(replace(${text}, '\\\\', E'\\x01'), '\\,', E'\\x02')`
  return key.map(({ type }, index) =>
    `replace(replace(split_part(${marked}, ',', ${index + 1}), E'\\x02', ','), E'\\x01', '\\')::${type}`
  )
}
