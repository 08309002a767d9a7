/**
 * What a model with its includes reads: the plan that documents, dependencies and capture are made from.
 * @module
 */
import type { FindOptions, Sequelize } from 'sequelize'
import type { Source, Table } from '../../src/ports.ts'
import { type ResolvedInclude, type ResolvedOptions, resolveOptions } from './options.ts'
import { sourceError } from './faults.ts'
import { type Ids, idsOf } from './ids.ts'
import { type Field, fieldsOf } from './fields.ts'
import { gatherReads } from './reads.ts'
import { type AnyModel, type AssociationLike, columnNamed, keyOf, tableOf } from './tables.ts'
import { whereColumns } from './where.ts'

/** What is read from one table, over all places where it occurs. */
export interface Reads {
  /** The table. */
  table: Table
  /** The model it is read through. */
  model: AnyModel
  /** Columns documents read, filter on or join by; a change of others concerns no document. */
  columns: string[]
  /** Columns whose old and new values must be captured: the primary key and every column that joins a row to what shows it. */
  capture: string[]
}

/** A source made from a model. */
export interface SequelizeSource extends Source {
  /**
   * What is read from each table. Resolved at first use: associations may be set up after the source is made. Once the
   * source was used with a database, `columns` are all those of a table in which the database itself changes some.
   * Throws `SOURCE_INVALID` when the options cannot be read.
   */
  readonly reads: readonly Reads[]
  /** The instance of the model. */
  readonly sequelize: Sequelize
}

/** Columns that one place reads, and what of it goes into documents. */
export interface Place {
  model: AnyModel
  table: Table
  /** Name in SQL: the one Sequelize gives, so that literals of the user find it. */
  alias: string
  fields: Field[]
  /** Condition with column names, as Sequelize takes it: `where`, scopes and the paranoid clause. */
  where: unknown
  /** Columns read here. */
  columns: Set<string>
  /** Set when only Sequelize can make this part of a document, with the reason. */
  needsRows: string | undefined
}

/** The join table of a belongsToMany. */
export interface Through extends Place {
  /** Name in the document. */
  name: string
  /** Column that holds the parent's key, and the one that holds the child's. */
  parentColumn: string
  ownColumn: string
}

/** One include. */
export interface Include extends Place {
  /** Name in the document. */
  name: string
  parent: Include | undefined
  kind: 'BelongsTo' | 'HasOne' | 'HasMany' | 'BelongsToMany'
  /** An array in the document. */
  many: boolean
  /** Parents without it are left out. */
  required: boolean
  /** Joined columns: of the parent and of this table. */
  parentColumn: string
  ownColumn: string
  through: Through | undefined
  /** False when nothing of it goes into the document. */
  shown: boolean
  includes: Include[]
  association: AssociationLike
  separate: boolean
}

/** The plan of a source. */
export interface Plan extends Place, Ids {
  /** True where the id is the primary key. */
  isPrimary: boolean
  includes: Include[]
  reads: Reads[]
  options: ResolvedOptions
}

/** Attributes that make the id of a document, and the one that is its routing. */
export interface IdOptions {
  id?: string | readonly string[] | undefined
  routing?: string | undefined
}

/** Resolves model and options. Throws `SOURCE_INVALID` for what cannot be read. */
export function resolvePlan(model: AnyModel, options: FindOptions, { id, routing }: IdOptions = {}): Plan {
  const resolved = resolveOptions(model, options)
  const chosen = id === undefined ? keyOf(model) : [id].flat().map((each) => columnNamed(model, each, 'id'))
  const ids = idsOf(chosen, routing === undefined ? undefined : columnNamed(model, routing, 'routing'))
  const place = placeOf(model, model.name, resolved.finder)
  const includes = (resolved.finder.include ?? []).map((each) => includeOf(each, undefined, model.name))
  const plan = { ...place, ...ids, isPrimary: id === undefined, includes, options: resolved, reads: [] as Reads[] }
  for (const column of plan.key) plan.columns.add(column)
  for (const each of includes) plan.columns.add(each.parentColumn)
  plan.reads = gatherReads(plan)
  return plan
}

function placeOf(model: AnyModel, alias: string, options: ResolvedInclude | ResolvedOptions['finder']): Place {
  const { fields, columns, needsRows } = fieldsOf(model, options)
  for (const column of whereColumns(model, options.where)) columns.add(column)
  return { model, table: tableOf(model), alias, fields, where: options.where, columns, needsRows }
}

function includeOf(found: ResolvedInclude, parent: Include | undefined, parentAlias: string): Include {
  const { model, association, as } = found
  assertJoin(found)
  const alias = parent ? `${parentAlias}->${as}` : as
  const place = placeOf(model, alias, found)
  const include: Include = {
    ...place,
    ...joinOf(association),
    name: as,
    parent,
    required: found.required === true,
    through: found.through && throughOf(found, alias),
    shown: place.fields.length > 0,
    includes: [],
    association,
    separate: found.separate === true,
  }
  include.includes = (found.include ?? []).filter((each) => !each._pseudo).map((each) =>
    includeOf(each, include, alias)
  )
  for (const column of [...keyOf(model), include.ownColumn]) include.columns.add(column)
  for (const each of include.includes) include.columns.add(each.parentColumn)
  include.needsRows ??= rowsReason(include, found)
  return include
}

function rowsReason(include: Include, found: ResolvedInclude): string | undefined {
  if (found.separate) return `include ${include.alias} is separate`
  if (include.through && found.association.through?.unique === false) {
    return `${include.through.table.name} may repeat a pair`
  }
  if (!include.shown && include.includes.some((each) => each.shown)) return `include ${include.alias} has no attributes`
  return undefined
}

function joinOf(association: AssociationLike): Pick<Include, 'kind' | 'many' | 'parentColumn' | 'ownColumn'> {
  const kind = association.associationType
  const many = association.isMultiAssociation === true
  const { identifierField = '', sourceKeyField = '', targetKeyField = '' } = association
  if (kind === 'BelongsTo') return { kind, many, parentColumn: identifierField, ownColumn: targetKeyField }
  if (kind === 'BelongsToMany') return { kind, many, parentColumn: sourceKeyField, ownColumn: targetKeyField }
  return { kind, many, parentColumn: sourceKeyField, ownColumn: identifierField }
}

function throughOf({ through, association }: ResolvedInclude, alias: string): Through {
  const place = placeOf(through!.model, `${alias}->${through!.as}`, through!)
  const parentColumn = association.identifierField!
  const ownColumn = association.foreignIdentifierField!
  for (const column of [...keyOf(through!.model), parentColumn, ownColumn]) place.columns.add(column)
  return { ...place, name: through!.as, parentColumn, ownColumn }
}

function assertJoin(found: ResolvedInclude): void {
  for (const option of ['on', 'or', 'right'] as const) {
    if (!found[option]) continue
    throw sourceError(
      found.model,
      `include ${found.as} has \`${option}\`, so it cannot be known which documents a row concerns`,
      `join by the association alone and put the condition in \`where\` of the include`,
    )
  }
}
