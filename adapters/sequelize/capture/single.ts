/**
 * SQL that records one row by the function of the own schema, where a statement gives back what it wrote.
 * @module
 */
import { quoteName } from '../../../src/sql.ts'
import { tableId } from '../tables.ts'
import { arrayText, quoteText } from './literals.ts'
import type { Watched } from './watch.ts'

/** What is recorded of a row. */
interface Row {
  watched: Watched
  /** Columns of the change; null when the row comes or goes, or when it is not known. */
  columns: readonly string[] | null
}

const kept = new WeakMap<Watched, string>()

// Names and texts of the captured columns.
function imageOf(watched: Watched): string {
  const known = kept.get(watched)
  if (known !== undefined) return known
  const texts = watched.capture.map((each) => `${quoteName(each)}::text`)
  const made = `${arrayText(watched.capture)}, ARRAY[${texts.join(', ')}]::text[]`
  kept.set(watched, made)
  return made
}

/** Call of the function for the row at hand; gives true. */
export function recordRow(record: string, { watched, columns }: Row): string {
  const changed = columns === null ? 'NULL' : arrayText(columns)
  return `${record}(${quoteText(tableId(watched.table))}, ${changed}, ${imageOf(watched)})`
}

/**
 * The statement with a RETURNING that records each row that it writes. It gives back these columns; where there are none, one
 * of our own. Undefined when none of the columns can carry the call.
 */
export function recordingRow(
  record: string,
  row: Row,
  { body, fields }: { body: string; fields: readonly string[] },
): string | undefined {
  const call = recordRow(record, row)
  if (fields.length === 0) return `${body} RETURNING ${call} AS "elastic_umzug_recorded"`
  const at = fields.findIndex((each) => isColumn.test(each))
  if (at < 0) return undefined
  // The call stands within a column, for a caller reads all that is given back. Both branches: it keeps its very type.
  const column = fields[at]!
  const carrying = `CASE WHEN ${call} THEN ${column} ELSE ${column} END AS ${column}`
  return `${body} RETURNING ${fields.map((each, place) => place === at ? carrying : each).join(', ')}`
}

const isColumn = /^(?:"(?:[^"]|"")+"|[a-z_]\w*)$/i
