/**
 * The function of statement-level triggers.
 * @module
 */
import { quoteText } from '../sql.ts'
import {
  changedNames,
  differ,
  differByType,
  executeSpotted,
  image,
  imageText,
  insertWhole,
  mostRows,
} from './images.ts'
import type { Recorded, ValueOf } from './images.ts'
import type { ColumnFacts } from './tables.ts'

/**
 * Body of the function. It reads the changed rows by position, which survives that columns are renamed; a dropped one
 * would shift those behind it, so each is looked for first, in the cache of the server. When one is gone, or is of another
 * type and the rows are many, the rows are recorded by SQL made on the spot: slower, but no write fails.
 */
export function statementBody(recorded: Recorded): string {
  const live = placed(recorded)
  const names = live.length > 0 ? `(${live.map(place).join(', ')})` : ''
  const gone = live.map(({ number }) => `has_column_privilege(TG_RELID, ${number}::int2, 'SELECT') IS NULL`)
  return `
DECLARE
  relation text;
  spotted boolean;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    ${insertWhole(recorded)}
    RETURN NULL;
  END IF;
  spotted := ${gone.join('\n    OR ') || 'false'};
  IF NOT spotted THEN
    IF TG_OP = 'INSERT' THEN
      ${comingOne(recorded, 'new_rows', names)}
    ELSIF TG_OP = 'DELETE' THEN
      ${comingOne(recorded, 'old_rows', names)}
    ELSE
      ${changingOne(recorded, names)}
      IF NOT FOUND AND NOT ${isMany('new_rows')} THEN
        RETURN NULL;
      END IF;
    END IF;
    IF FOUND THEN
      RETURN NULL;
    END IF;
    spotted := NOT ${isOfTypes(recorded.columns)};
  END IF;
  IF spotted THEN
    FOREACH relation IN ARRAY CASE TG_OP WHEN 'INSERT' THEN '{new_rows}' WHEN 'DELETE' THEN '{old_rows}'
        ELSE '{old_rows,new_rows}' END::text[] LOOP
      ${executeSpotted(recorded, 'TG_RELID', 'relation')};
    END LOOP;
  ELSIF TG_OP = 'INSERT' THEN
    ${comingMany(recorded, 'new_rows', names)}
  ELSIF TG_OP = 'DELETE' THEN
    ${comingMany(recorded, 'old_rows', names)}
  ELSE
    ${changingMany(recorded, names)}
  END IF;
  RETURN NULL;
END`
}

// What is made for many rows goes by the types of their columns.
function isOfTypes(columns: readonly ColumnFacts[]): string {
  if (columns.length === 0) return 'true'
  const types = columns.map(({ number, type }) => `WHEN ${number} THEN ${type}`).join(' ')
  return `(SELECT count(*) = ${columns.length} FROM pg_catalog.pg_attribute a WHERE a.attrelid = TG_RELID
      AND a.attnum = ANY ('{${columns.map(({ number }) => number).join(',')}}'::int2[])
      AND a.atttypid = CASE a.attnum ${types} END)`
}

// Up to the last one that is needed; others that stand behind it may come and go.
function placed({ facts, columns }: Recorded): ColumnFacts[] {
  const last = Math.max(0, ...columns.map((each) => each.number))
  return facts.columns.filter((each) => each.number <= last)
}

// A name that no column of the application has.
const place: ValueOf = ({ number }) => `elastic_umzug_${number}`
const before: ValueOf = (column) => `o.${place(column)}`
const after: ValueOf = (column) => `n.${place(column)}`

// One row goes without the steps that many need: these cost more than the write itself.
const isMany = (relation: string) => `EXISTS (SELECT FROM ${relation} OFFSET 1)`

function insertInto({ changes, facts }: Recorded, columns: string, select: string): string {
  return `INSERT INTO ${changes} (table_name, ${columns})
      SELECT ${quoteText(facts.table)}, ${select};`
}

// Rows of one change follow each other, so the groups that are open at a time are few, and PostgreSQL puts on disk what
// exceeds its memory, however many rows there are.
const batched = `('[' || string_agg(r.images, ',') || ']')::jsonb`
const batchOf = (size: number) => `(row_number() OVER () - 1) / ${size} AS batch`

function comingOne(recorded: Recorded, relation: string, names: string): string {
  const images = `jsonb_build_array(${image(recorded.capture, after)})`
  return insertInto(recorded, 'rows', `${images} FROM ${relation} AS n${names} WHERE NOT ${isMany(relation)}`)
}

function comingMany(recorded: Recorded, relation: string, names: string): string {
  const rows = `SELECT ${imageText(recorded.capture, after)} AS images, ${
    batchOf(mostRows)
  } FROM ${relation} AS n${names}`
  return insertInto(recorded, 'rows', `${batched} FROM (${rows}) AS r GROUP BY r.batch`)
}

function changingOne(recorded: Recorded, names: string): string {
  const { columns, capture } = recorded
  const [now, old] = [image(capture, after), image(capture, before)]
  const images = `CASE WHEN ${differ(capture, before, after)} THEN jsonb_build_array(${now}, ${old}) ` +
    `ELSE jsonb_build_array(${now}) END`
  const changed = changedNames(recorded, (each) => differ([each], before, after))
  return insertInto(
    recorded,
    'rows, columns',
    `${images}, ${changed} FROM old_rows AS o${names} CROSS JOIN new_rows AS n${names}
      WHERE NOT ${isMany('new_rows')} AND ${differ(columns, before, after)}`,
  )
}

function changingMany(recorded: Recorded, names: string): string {
  const { columns, capture } = recorded
  const flags = columns.map((each) => `, ${differByType([each], before, after)} AS ${place(each)}`).join('')
  const pairs = keyOf(recorded) ? pairsByKey : pairsByPlace
  const rows = `SELECT concat_ws(',', CASE WHEN n.is_row THEN ${imageText(capture, after)} END,
          CASE WHEN o.is_row AND ${differByType(capture, before, after)} THEN ${
    imageText(capture, before)
  } END) AS images${flags},
        ${batchOf(mostRows / 2)}
      FROM ${pairs(recorded, names)}
      WHERE ${differByType(columns, before, after)}`
  const changed = changedNames(recorded, (each) => `bool_or(r.${place(each)})`)
  return insertInto(recorded, 'rows, columns', `${batched}, ${changed}\n      FROM (${rows}) AS r GROUP BY r.batch`)
}

// Columns of the primary key, where all are recorded.
function keyOf({ facts, capture }: Recorded): ColumnFacts[] | undefined {
  const found = capture.filter(({ number }) => facts.key.includes(number))
  return found.length > 0 && found.length === facts.key.length ? found : undefined
}

// A row whose key is changed has no other half: both are recorded, each alone. Where keys change places, so do the halves,
// and the same images are recorded.
function pairsByKey(recorded: Recorded, names: string): string {
  const of = (relation: string) =>
    `(SELECT true AS is_row${
      recorded.columns.map((each) => `, r.${place(each)}`).join('')
    } FROM ${relation} AS r${names})`
  const same = keyOf(recorded)!.map((each) => `${before(each)} = ${after(each)}`).join(' AND ')
  return `${of('old_rows')} AS o FULL JOIN ${of('new_rows')} AS n ON ${same}`
}

// An update adds the old and the new row to the two relations at once, so they stand in the same order.
function pairsByPlace({ columns }: Recorded, names: string): string {
  const of = (relation: string) =>
    `(SELECT true AS is_row, row_number() OVER () AS place${
      columns.map((each) => `, r.${place(each)}`).join('')
    } FROM ${relation} AS r${names})`
  return `${of('old_rows')} AS o JOIN ${of('new_rows')} AS n ON n.place = o.place`
}
