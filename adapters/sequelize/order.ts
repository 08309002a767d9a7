/**
 * The order of arrays in documents: what the user asks for, then the key of the child.
 * @module
 */
import type { Include, Plan } from './plan.ts'
import { includesOf } from './reads.ts'
import { type AnyModel, attributesOf, keyAttributes } from './tables.ts'

/** One term: an attribute of an include, or of something joined to it. */
export interface OrderTerm {
  path: Include[]
  attribute: string
  direction: string
}

/** The order of every array, and terms only Sequelize understands. */
export interface Order {
  /** Terms of an array, by its include. */
  terms: Map<Include, OrderTerm[]>
  opaque: unknown[]
}

const directions = /^(ASC|DESC)( NULLS (FIRST|LAST))?$|^NULLS (FIRST|LAST)$/i

/** Sorts out the `order` of a plan's options. Terms on the rows themselves are dropped: documents come in key order. */
export function orderOf(plan: Plan): Order {
  const order: Order = { terms: new Map(), opaque: [] }
  const given = (plan.options.merged as { order?: unknown }).order
  for (const each of Array.isArray(given) ? given : given === undefined || given === null ? [] : [given]) {
    if (typeof each === 'string') continue
    const term = Array.isArray(each) ? termOf(plan, each) : undefined
    const owner = term?.path.findLast((include) => include.many)
    if (!term) order.opaque.push(each)
    else if (owner) order.terms.set(owner, [...order.terms.get(owner) ?? [], term])
  }
  return order
}

function termOf(plan: Plan, parts: unknown[]): OrderTerm | undefined {
  const path: Include[] = []
  let at: Plan | Include = plan
  let index = 0
  for (; index < parts.length - 1; index++) {
    const next: Include | undefined = at.includes.find((each) => isNamed(each, parts[index]))
    if (!next) break
    path.push(next)
    at = next
  }
  const [attribute, direction = 'ASC', ...rest] = parts.slice(index)
  if (rest.length > 0 || typeof attribute !== 'string' || !attributesOf(at.model)[attribute]) return undefined
  if (typeof direction !== 'string' || !directions.test(direction)) return undefined
  return { path, attribute, direction }
}

/** True when an option or a term of `order` means this include. */
export function isNamed(include: Include, part: unknown): boolean {
  if (typeof part === 'string') return part === include.name
  if (part === include.association) return true
  if (typeof part === 'function') return (part as AnyModel).name === include.model.name
  if (typeof part !== 'object' || part === null) return false
  const { model, as, association } = part as { model?: AnyModel; as?: string; association?: unknown }
  if (association !== undefined) return association === include.association || association === include.name
  return model?.name === include.model.name && (as === undefined || as === include.name)
}

/** The reason why PostgreSQL's own order of arrays cannot be used, if there is one. */
export function orderReason({ terms, opaque }: Order): string | undefined {
  if (opaque.length > 0) return '`order` has an expression'
  const far = [...terms].some(([owner, all]) => all.some((each) => each.path[each.path.length - 1] !== owner))
  return far ? '`order` of an array goes by another table' : undefined
}

/**
 * The order for Sequelize's own finder: includes from the top down, each by its terms, then its key. Rows of a
 * hasOne that has several are put so that the one with the lowest key stays.
 */
export function finderOrder(plan: Plan, { terms, opaque }: Order): unknown[] {
  return [...opaque, ...joinedOrder(plan, terms, plan.options.finder.hasMultiAssociation === true)]
}

/** The order of the query that a separate include is: its own rows, then what is joined to them. */
export function separateOrder(include: Include, { terms }: Order, given: unknown): unknown[] {
  const own = (terms.get(include) ?? []).filter((term) => term.path.at(-1) === include)
  return [
    ...(Array.isArray(given) ? given as unknown[] : given === undefined ? [] : [given]),
    ...own.map((term) => [term.attribute, term.direction]),
    ...keyAttributes(include.model).map((key) => [key.fieldName, 'ASC']),
    ...joinedOrder(include, terms, includesOf(include).some((each) => each.many)),
  ]
}

function joinedOrder(root: Plan | Include, terms: Order['terms'], isFolded: boolean): unknown[] {
  const all: unknown[] = []
  const above = 'kind' in root ? pathOf(root).length : 0
  // Sequelize keeps the last of them where it folds rows together, and the first where it does not.
  const direction = isFolded ? 'DESC' : 'ASC'
  for (const each of includesOf(root)) {
    const path = pathOf(each).slice(above)
    if (path.some((include) => include.separate)) continue
    for (const term of terms.get(each) ?? []) {
      all.push([...steps(term.path.slice(above)), term.attribute, term.direction])
    }
    if (each.kind === 'BelongsTo') continue
    for (const key of keyAttributes(each.model)) {
      all.push([...steps(path), key.fieldName, each.many ? 'ASC' : direction])
    }
  }
  return all
}

function pathOf(include: Include): Include[] {
  return include.parent ? [...pathOf(include.parent), include] : [include]
}

function steps(path: Include[]): object[] {
  return path.map(({ model, name }) => ({ model, as: name }))
}
