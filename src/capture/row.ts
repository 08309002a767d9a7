/**
 * The function of row-level triggers.
 * @module
 */
import { changedNames, differ, executeSpotted, fieldOf, image, insertChange, insertWhole } from './images.ts'
import type { Recorded } from './images.ts'
import { quoteName, quoteText } from '../sql.ts'

/**
 * Body of the function. Partitions and children have their columns in orders of their own, so it goes by their names,
 * and looks first whether they are still called so and of the same types (a session could not go on with a field of
 * another type); else it records the row by SQL made on the spot.
 */
export function rowBody(recorded: Recorded): string {
  const { columns, capture, facts } = recorded
  const [before, after] = [fieldOf('OLD'), fieldOf('NEW')]
  const [old, now] = [image(capture, before), image(capture, after)]
  const root = quoteText(`${quoteName(facts.schema)}.${quoteName(facts.name)}`)
  const owner = `coalesce(to_regclass(${root}), TG_RELID)`
  const names = columns.map((each) => quoteText(each.name)).join(', ')
  const types = columns.map((each) => `WHEN ${quoteText(each.name)} THEN ${each.type}`).join(' ') || 'WHEN NULL THEN 0'
  return `
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    ${insertWhole(recorded)}
  ELSIF (SELECT count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = TG_RELID
      AND a.attname = ANY (ARRAY[${names}]::name[]) AND a.atttypid = CASE a.attname ${types} END) <> ${columns.length} THEN
    IF TG_OP <> 'INSERT' THEN
      ${executeSpotted(recorded, owner, `'(SELECT ($1).*) r'`)} USING OLD;
    END IF;
    IF TG_OP <> 'DELETE' THEN
      ${executeSpotted(recorded, owner, `'(SELECT ($1).*) r'`)} USING NEW;
    END IF;
  ELSIF TG_OP = 'INSERT' THEN
    ${insertChange(recorded, `jsonb_build_array(${now})`)}
  ELSIF TG_OP = 'DELETE' THEN
    ${insertChange(recorded, `jsonb_build_array(${old})`)}
  ELSIF ${differ(columns, before, after)} THEN
    ${
    insertChange(
      recorded,
      `CASE WHEN ${
        differ(capture, before, after)
      } THEN jsonb_build_array(${now}, ${old}) ELSE jsonb_build_array(${now}) END`,
      changedNames(recorded, (each) => differ([each], before, after)),
    )
  }
  END IF;
  RETURN NULL;
END`
}
