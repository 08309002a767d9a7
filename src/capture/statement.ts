/**
 * The function of statement-level triggers.
 * @module
 */
import { changedNames, chunks, differ, executeSpotted, image, insertChange, insertWhole, mostRows } from './images.ts'
import type { Recorded, ValueOf } from './images.ts'
import type { ColumnFacts } from './tables.ts'

/**
 * Body of the function. It reads the changed rows by position, which survives that columns are renamed; a dropped one
 * would shift those behind it, so each is looked for first, in the cache of the server. When one is gone, the rows are
 * recorded by SQL made on the spot: slower, but no write fails.
 */
export function statementBody(recorded: Recorded): string {
  const live = placed(recorded)
  const names = live.length > 0 ? `(${live.map(place).join(', ')})` : ''
  const gone = live.map(({ number }) => `has_column_privilege(TG_RELID, ${number}::int2, 'SELECT') IS NULL`)
  return `
DECLARE
  images jsonb[];
  size int := 0;
  each_image jsonb;
  each_row record;
  relation text;
${masks(recorded).map(({ name }) => `  ${name} bigint := 0;\n`).join('')}BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    ${insertWhole(recorded)}
    RETURN NULL;
  END IF;
  IF ${gone.join('\n    OR ') || 'false'} THEN
    FOREACH relation IN ARRAY CASE TG_OP WHEN 'INSERT' THEN '{new_rows}' WHEN 'DELETE' THEN '{old_rows}'
        ELSE '{old_rows,new_rows}' END::text[] LOOP
      ${executeSpotted(recorded, 'TG_RELID', 'relation')};
    END LOOP;
    RETURN NULL;
  END IF;
  IF TG_OP = 'INSERT' THEN
${coming(recorded, `new_rows AS n${names}`)}
  ELSIF TG_OP = 'DELETE' THEN
${coming(recorded, `old_rows AS n${names}`)}
  ELSE
${changing(recorded, names)}
  END IF;
  RETURN NULL;
END`
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

// A loop: its memory stays flat however many rows there are.
function coming(recorded: Recorded, from: string): string {
  return `    FOR each_image IN SELECT ${image(recorded.capture, after)} FROM ${from} LOOP
      size := size + 1;
      images[size] := each_image;
      IF size = ${mostRows} THEN
        ${insertChange(recorded, 'to_jsonb(images)')}
        images := NULL;
        size := 0;
      END IF;
    END LOOP;
    IF size > 0 THEN
      ${insertChange(recorded, 'to_jsonb(images)')}
    END IF;`
}

// An update adds the old and the new row to the two relations at once, so they stand in the same order, whatever the key
// becomes.
function changing(recorded: Recorded, names: string): string {
  const { columns, capture } = recorded
  const bits = masks(recorded).map(({ name, of }) => `,\n        ${maskOf(of)} AS ${name}`).join('')
  const join = masks(recorded).map(({ name }) => `      ${name} := ${name} | each_row.${name};\n`).join('')
  const reset = masks(recorded).map(({ name }) => `\n        ${name} := 0;`).join('')
  const numbered = (relation: string) =>
    `(SELECT row_number() OVER () AS place${
      columns.map((each) => `, r.${place(each)}`).join('')
    } FROM ${relation} AS r${names})`
  const insert = insertChange(recorded, 'to_jsonb(images)', maskedNames(recorded))
  return `    FOR each_row IN SELECT ${image(capture, after)} AS after,
        CASE WHEN ${differ(capture, before, after)} THEN ${image(capture, before)} END AS before${bits}
      FROM ${numbered('old_rows')} AS o
      JOIN ${numbered('new_rows')} AS n ON n.place = o.place
      WHERE ${differ(columns, before, after)} LOOP
      size := size + 1;
      images[size] := each_row.after;
      IF each_row.before IS NOT NULL THEN
        size := size + 1;
        images[size] := each_row.before;
      END IF;
${join}      IF size > ${mostRows - 2} THEN
        ${insert}
        images := NULL;
        size := 0;${reset}
      END IF;
    END LOOP;
    IF size > 0 THEN
      ${insert}
    END IF;`
}

// Which columns changed is kept in bits, for a loop joins those of its rows cheaply.
interface Mask {
  name: string
  of: ColumnFacts[]
}

function masks({ columns }: Recorded): Mask[] {
  return chunks(columns, 62).map((of, at) => ({ name: `mask_${at}`, of }))
}

function maskOf(columns: readonly ColumnFacts[]): string {
  return columns.map((each, at) => `CASE WHEN ${differ([each], before, after)} THEN ${bit(at)} ELSE 0 END`).join(' | ')
}

function bit(at: number): string {
  return `${2n ** BigInt(at)}::bigint`
}

function maskedNames(recorded: Recorded): string {
  const bits = new Map(
    masks(recorded).flatMap(({ name, of }) => of.map((each, at) => [each, `${name} & ${bit(at)} <> 0`])),
  )
  return changedNames(recorded, (each) => bits.get(each)!)
}
