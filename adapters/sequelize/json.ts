/**
 * Column values as JSON made by PostgreSQL, equal to what `JSON.stringify` gives for the value Sequelize reads.
 * @module
 */
import type { Column } from './catalog.ts'

type ToJson = (value: string, type: string) => string

const asIs: ToJson = (value) => value
const asText: ToJson = (value) => `${value}::text`
const finite: ToJson = (value) => `CASE WHEN isfinite(${value}) THEN ${value} END`

// NaN and the infinities are no JSON, and become null; minus zero becomes zero.
const float: ToJson = (value, type) =>
  `CASE WHEN ${value} IN ('NaN', 'Infinity', '-Infinity') THEN NULL ELSE ${value} + '0'::${type} END`

const base64: ToJson = (value) => `translate(encode(${value}, 'base64'), E'\\n', '')`

// Raw line breaks are white space of JSON here, and would end the line of a bulk request.
const oneLine: ToJson = (value) => `translate(${value}::text, E'\\n\\r', '  ')::json`

const instant: ToJson = (value) => {
  const utc = `${value} AT TIME ZONE 'UTC'`
  const rest = `to_char(${utc}, '-MM-DD"T"HH24:MI:SS.MS"Z"')`
  const year = `(extract(year FROM ${utc})::int + (extract(year FROM ${utc}) < 0)::int)`
  // Years that have not four digits are written with a sign and six.
  const signed = `CASE WHEN ${year} < 0 THEN '-' ELSE '+' END || lpad(abs(${year})::text, 6, '0')`
  return `CASE WHEN ${value} >= '0001-01-01 00:00+00' AND ${value} < '10000-01-01 00:00+00'` +
    ` THEN to_char(${utc}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')` +
    ` WHEN isfinite(${value}) AND ${value} <= '275760-09-13 00:00+00'` +
    ` THEN CASE WHEN ${year} = 0 THEN '0000' ELSE ${signed} END || ${rest} END`
}

const scalars: Readonly<Record<string, ToJson>> = {
  bool: asIs,
  int2: asIs,
  int4: asIs,
  oid: asIs,
  int8: asText,
  numeric: asText,
  float4: float,
  float8: float,
  text: asIs,
  varchar: asIs,
  bpchar: asIs,
  name: asIs,
  char: asIs,
  uuid: asIs,
  date: finite,
  time: asIs,
  timetz: asIs,
  timestamptz: instant,
  inet: asIs,
  cidr: asIs,
  macaddr: asIs,
  macaddr8: asIs,
  money: asIs,
  bit: asIs,
  varbit: asIs,
  xml: asIs,
  tsvector: asIs,
  tsquery: asIs,
  json: oneLine,
  jsonb: asIs,
  bytea: base64,
}

const extensions: Readonly<Record<string, ToJson>> = { citext: asText, hstore: asIs, ltree: asText }

const bounds: Readonly<Record<string, ToJson>> = {
  int4range: asIs,
  int8range: asText,
  numrange: asText,
  daterange: finite,
  tstzrange: instant,
}

// Elements stand in the text of the whole array, of any number of dimensions, so it is mended there.
const arrays: Readonly<Record<string, ToJson>> = {
  bool: asIs,
  int2: asIs,
  int4: asIs,
  int8: (value) => `${value}::text[]`,
  numeric: (value) => `${value}::text[]`,
  float4: floatArray(),
  float8: floatArray(),
  text: asIs,
  varchar: asIs,
  bpchar: asIs,
  uuid: asIs,
  inet: asIs,
  cidr: asIs,
  macaddr: asIs,
  time: asIs,
  date: (value) => `regexp_replace(to_json(${value})::text, '"-?infinity"', 'null', 'g')::json`,
  jsonb: asIs,
}

function floatArray(): ToJson {
  return (value) => {
    const text = `regexp_replace(to_json(${value})::text, '"(NaN|-?Infinity)"', 'null', 'g')`
    return `regexp_replace(${text}, '-0(?=[],])', '0', 'g')::json`
  }
}

function range(value: string, type: string, bound: ToJson): string {
  const side = (name: string) =>
    `json_build_object('value', ${bound(`${name}(${value})`, type)}, 'inclusive', ${name}_inc(${value}))`
  return `CASE WHEN ${value} IS NULL THEN NULL WHEN isempty(${value}) THEN '[]'::json` +
    ` ELSE json_build_array(${side('lower')}, ${side('upper')}) END`
}

/** SQL that gives the JSON form of a column's value; undefined when only Sequelize makes the same. */
export function jsonOf(value: string, column: Column): string | undefined {
  const { typeName, element, kind, builtIn, type } = column
  if (element !== null) {
    if (kind === 'e' || (!builtIn && element === 'citext')) return `${value}::text[]`
    return builtIn ? arrays[element]?.(value, type) : undefined
  }
  if (kind === 'e') return asText(value, type)
  if (kind === 'r') return builtIn && bounds[typeName] ? range(value, type, bounds[typeName]) : undefined
  return (builtIn ? scalars : extensions)[typeName]?.(value, type)
}
