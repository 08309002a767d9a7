/**
 * Finder options as Sequelize itself resolves them: scopes, include forms, aliases, paranoid clauses, column names.
 * @module
 */
import type { FindOptions } from 'sequelize'
import { sourceError } from './faults.ts'
import type { AnyModel, AssociationLike } from './tables.ts'

/** An include after Sequelize resolved it. */
export interface ResolvedInclude {
  model: AnyModel
  association: AssociationLike
  as: string
  attributes?: unknown[]
  /** Attributes before key columns were added and names became columns. */
  originalAttributes?: unknown[]
  where?: unknown
  required?: boolean
  separate?: boolean
  limit?: unknown
  include?: ResolvedInclude[]
  through?: ResolvedInclude
  on?: unknown
  or?: unknown
  right?: unknown
  _pseudo?: boolean
}

/** Finder options after Sequelize resolved them. */
export interface ResolvedFinder {
  attributes?: unknown[]
  originalAttributes?: unknown[]
  where?: unknown
  include?: ResolvedInclude[]
  hasMultiAssociation?: boolean
}

/** Options of one source. */
export interface ResolvedOptions {
  /** With scopes merged, for the unscoped model's own finders. */
  merged: FindOptions & { attributes?: unknown }
  /** Fully resolved, names as columns. */
  finder: ResolvedFinder
}

// Sequelize resolves these only inside a finder. Its own steps are used, in its own order, so that they mean the same.
interface ModelSteps {
  _injectScope(options: object): void
  _conformIncludes(options: object, model: unknown): void
  _expandAttributes(options: object): void
  _expandIncludeAll(options: object): void
  _injectDependentVirtualAttributes(attributes: unknown): unknown[] | undefined
  _validateIncludedElements(options: object, tableNames: object): void
  _paranoidClause(model: unknown, options: object): ResolvedFinder
  sequelize: {
    constructor: { Utils: { cloneDeep<T>(value: T): T; mapFinderOptions(options: object, model: unknown): void } }
  }
}

const refused = ['limit', 'offset', 'group', 'having', 'raw', 'plain'] as const

/** Resolves the options of a source. Throws `SOURCE_INVALID` for an include that is no association, a limit and the like. */
export function resolveOptions(model: AnyModel, options: FindOptions): ResolvedOptions {
  const steps = model as unknown as ModelSteps
  const { cloneDeep } = steps.sequelize.constructor.Utils
  try {
    const merged = cloneDeep(options) as ResolvedOptions['merged']
    steps._injectScope(merged)
    assertWhole(model, merged)
    return { merged, finder: runSteps(model, cloneDeep(merged)) }
  } catch (error) {
    if ((error as { code?: unknown }).code === 'SOURCE_INVALID') throw error
    throw sourceError(
      model,
      (error as Error).message.replace(/\.$/, ''),
      'correct its `include`, or set up the association before the first use',
      error,
    )
  }
}

function runSteps(model: AnyModel, options: object): ResolvedFinder {
  const steps = model as unknown as ModelSteps
  const finder = options as ResolvedFinder
  steps._conformIncludes(finder, model)
  steps._expandAttributes(finder)
  steps._expandIncludeAll(finder)
  const originalAttributes = steps._injectDependentVirtualAttributes(finder.attributes)
  if (originalAttributes) finder.originalAttributes = [...originalAttributes]
  if (finder.include) steps._validateIncludedElements(finder, {})
  steps.sequelize.constructor.Utils.mapFinderOptions(finder, model)
  return steps._paranoidClause(model, finder)
}

function assertWhole(model: AnyModel, options: FindOptions): void {
  for (const option of refused) {
    if ((options as Record<string, unknown>)[option] === undefined) continue
    throw sourceError(
      model,
      `\`${option}\` is set by its options or scope`,
      `leave \`${option}\` out: every matching row is a document`,
    )
  }
}
