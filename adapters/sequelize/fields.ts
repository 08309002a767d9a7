/**
 * Attributes of a model or include as fields of documents.
 * @module
 */
import { sourceError } from './faults.ts'
import { type AnyModel, attributesOf, columnsOf, isVirtual } from './tables.ts'

/** A field of a document that is a column. */
export interface Field {
  /** Name in the document. */
  name: string
  column: string
}

/** What the attributes of one place say. */
export interface Fields {
  fields: Field[]
  columns: Set<string>
  /** Set when only Sequelize can give these attributes, with the reason. */
  needsRows: string | undefined
}

interface Selected {
  attributes?: unknown[]
  originalAttributes?: unknown[]
}

/** Fields of one place. Throws `SOURCE_INVALID` for an attribute that the model does not have. */
export function fieldsOf(model: AnyModel, { attributes, originalAttributes }: Selected): Fields {
  const chosen = originalAttributes ?? attributes ?? Object.keys(attributesOf(model))
  const found: Fields = { fields: [], columns: new Set(), needsRows: behaviourOf(model) }
  for (const each of chosen) addField(model, each, found)
  return found
}

function addField(model: AnyModel, chosen: unknown, found: Fields): void {
  if (typeof chosen === 'string') return addAttribute(model, chosen, found)
  const [column, name] = Array.isArray(chosen) ? chosen as unknown[] : []
  if (typeof column === 'string' && typeof name === 'string' && !/[(>]/.test(column)) {
    found.fields.push({ name, column })
    found.columns.add(column)
    return
  }
  // What an expression reads is not known: every column of the model may be in it.
  for (const each of columnsOf(model)) found.columns.add(each)
  found.fields.push({ name: String(name), column: '' })
  found.needsRows ??= `${model.name} selects an expression`
}

function addAttribute(model: AnyModel, name: string, found: Fields): void {
  const attribute = attributesOf(model)[name]
  if (!attribute) {
    throw sourceError(model, `model ${model.name} has no attribute "${name}"`, 'correct its `attributes`')
  }
  if (isVirtual(model, name)) {
    found.needsRows ??= `${model.name}.${name} is virtual`
    return
  }
  found.fields.push({ name, column: attribute.field })
  found.columns.add(attribute.field)
}

interface ModelBehaviour {
  prototype: { toJSON: unknown; get: unknown; _hasCustomGetters?: number }
  sequelize: { constructor: { Model: { prototype: ModelBehaviour['prototype'] } } }
  hasHook(name: string): boolean
}

const findHooks = ['beforeFind', 'beforeFindAfterExpandIncludeAll', 'beforeFindAfterOptions', 'afterFind']

// The reason why instances of a model hold other values than their row, if they do.
function behaviourOf(model: AnyModel): string | undefined {
  const { prototype, sequelize, hasHook } = model as unknown as ModelBehaviour
  const base = sequelize.constructor.Model.prototype
  if (prototype._hasCustomGetters) return `${model.name} has getters`
  if (prototype.toJSON !== base.toJSON || prototype.get !== base.get) return `${model.name} has its own toJSON`
  if (findHooks.some((each) => hasHook.call(model, each))) return `${model.name} has find hooks`
  return undefined
}
