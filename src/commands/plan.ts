/**
 * `plan`: everything that `up` would do, in its order, with what it costs and what is in its way.
 * @module
 */
import { destructiveIn } from '../migrations/destructive.ts'
import { superfluousVersions } from '../search/superfluous.ts'
import { installedStep, newestStep } from '../store/schema.ts'
import type { Base } from './base.ts'
import { planTriggers } from './capture.ts'
import { type IndexPlan, planDefinition } from './plan-indexes.ts'
import { migrationRunner } from './up.ts'

/** One thing that `up` would do. */
export interface PlanStep {
  /** What it is done to: a migration, a table, a version. */
  target: string
  /** What is done, as `applied`. */
  actions: string[]
  /** What it takes away, where that can be told: of SQL files. */
  destructive: string[]
  /** What is in its way, with the next step. */
  blockedBy: string[]
  /** What else is to be known. */
  notes: string[]
  /** Rows, about; null where it reads none, or they are not known. */
  rows: number | null
  /** Minutes, about; null where that is not known. */
  minutes: number | null
}

/** Steps of one kind. */
export interface PlanSection {
  /** What the steps are about, as `migrations`. */
  name: string
  /** In the order in which `up` does them. */
  steps: PlanStep[]
}

/** Everything that `up` would do. */
export interface Plan {
  /** True where there is anything to do. */
  todo: boolean
  /** In the order in which it would be done; also those without a step. */
  sections: PlanSection[]
}

/** What one kind of work would do. */
type Planner = (base: Base, isApplied: boolean) => Promise<PlanStep[]>

// In the order of `up`; each kind of work adds a line here.
const planners: readonly [string, Planner][] = [
  ['own tables', ownTables],
  ['SQL migrations', migrations],
  ['triggers', triggers],
  ['search indexes', indexes],
  ['dropped versions', drops],
]

/** Looks at everything; changes nothing. Throws what the config, the database or the cluster do. */
export async function planAll(base: Base): Promise<Plan> {
  const isApplied = (await installedStep(base.store)) === newestStep
  const sections: PlanSection[] = []
  for (const [name, planner] of planners) sections.push({ name, steps: await planner(base, isApplied) })
  return { todo: sections.some((each) => each.steps.length > 0), sections }
}

const nothing = { destructive: [], blockedBy: [], notes: [], rows: null, minutes: null }

async function ownTables({ store }: Base, isApplied: boolean): Promise<PlanStep[]> {
  if (isApplied) return []
  const isThere = (await installedStep(store)) > 0
  return [{ ...nothing, target: `schema ${store.schema}`, actions: [isThere ? 'upgraded' : 'created'] }]
}

async function migrations(base: Base): Promise<PlanStep[]> {
  const runner = migrationRunner(base)
  const names = await runner.plan('up')
  if (names.length === 0) return []
  const paths = new Map((await runner.pending()).map((each) => [each.name, each.path]))
  const steps: PlanStep[] = []
  for (const target of names) {
    const path = paths.get(target)
    const destructive = path?.endsWith('.sql') ? await destructiveIn(await base.runtime.readText(path)) : []
    steps.push({ ...nothing, target, actions: ['applied'], destructive })
  }
  return steps
}

async function triggers(base: Base): Promise<PlanStep[]> {
  if (!searches(base)) return []
  return (await planTriggers(base)).map((line) => {
    const [target, what] = line.split(': ')
    return { ...nothing, target: target!, actions: [what!.replace('would be ', '')] }
  })
}

const searches = ({ off, search, definitions }: Base): boolean => !off && search !== undefined && definitions.length > 0

const wanted = ['created', 'populated', 'activated'] as const

async function indexes(base: Base, isApplied: boolean): Promise<PlanStep[]> {
  if (!searches(base)) return []
  const steps: PlanStep[] = []
  for (const definition of base.definitions) {
    if (!isApplied) steps.push({ ...nothing, target: newName(base, definition.name), actions: [...wanted] })
    else steps.push(...stepsOf(base, await planDefinition(base, definition, wanted)))
  }
  return steps
}

const newName = ({ prefix }: Base, index: string): string => `a new version of ${prefix}${index}`

function stepsOf(base: Base, { index, version, open, inPlace, blockedBy, rows, minutes }: IndexPlan): PlanStep[] {
  if (open.length === 0) return []
  const notes = inPlace ? [`could be put into ${inPlace} instead: npx umzug es:create --in-place ${index}`] : []
  const target = version?.physical ?? newName(base, index)
  return [{ target, actions: open, destructive: [], blockedBy, notes, rows, minutes }]
}

async function drops(base: Base, isApplied: boolean): Promise<PlanStep[]> {
  if (!isApplied || !searches(base)) return []
  const found = await superfluousVersions({ ...base, keepRetired: base.config.keepRetired ?? 1 })
  return found.map(({ physical, reason }) => ({ ...nothing, target: physical, actions: ['dropped'], notes: [reason] }))
}
