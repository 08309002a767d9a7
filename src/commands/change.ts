/**
 * What the commands that change index versions have in common.
 * @module
 */
import type { Definition } from '../search/definition.ts'
import { definitionOf, type LifecycleDeps, mendActive } from '../search/lifecycle.ts'
import { checkCluster } from '../search/physical.ts'
import type { TargetOptions } from '../search/targets.ts'
import type { Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base, CommandOptions, Run, RunOptions } from './base.ts'
import type { PrefixOption } from './prefix.ts'

/** Options of the commands that change something. */
export interface ChangeOptions extends CommandOptions {
  /** Only tells, a line each, what would be done. */
  dryRun?: boolean
}

/** Runs the work as a command of its own under the run lock; with `within`, as a part of the action that holds it already. */
export async function changing<T>(
  base: Base,
  within: Run | undefined,
  name: string,
  options: RunOptions,
  work: (deps: LifecycleDeps, run: Run) => Promise<T>,
): Promise<T> {
  const prepared = async (run: Run) => {
    const deps = base.lifecycle(run)
    await checkCluster(deps.search)
    await mendActive(deps)
    return await work(deps, run)
  }
  if (within) return await prepared(within)
  await checkSchema(base.store)
  return await base.run(name, options, prepared)
}

/** Tells the lines of a plan, and changes nothing. */
export async function tellPlan(base: Base, { onLine }: CommandOptions, plan: () => Promise<string[]>): Promise<[]> {
  await checkSchema(base.store)
  for (const line of await plan()) onLine?.(line)
  return []
}

/** Tells that there is nothing to do where nothing is defined: silence would look like success. */
export function tellNone({ onLine }: CommandOptions, { length }: readonly unknown[]): void {
  if (length === 0) onLine?.('the config defines no indexes')
}

/** The definitions with these names; all where none is named. Throws `DEFINITION_UNKNOWN`. */
export function named({ definitions }: Base, names: readonly string[]): readonly Definition[] {
  return names.length === 0 ? definitions : names.map((each) => definitionOf({ definitions }, each))
}

/** Does the work for one after another: they share the connections and the cluster with the application. */
export async function eachOf<In, Out>(all: readonly In[], work: (each: In) => Promise<Out>): Promise<Out[]> {
  const results: Out[] = []
  for (const each of all) results.push(await work(each))
  return results
}

/** Does the work for each version: for one within the command itself, for several each as a recorded part of it. */
export async function eachAsPart<T>(
  run: Run,
  action: string,
  versions: readonly Version[],
  work: (part: Run, version: Version) => Promise<T>,
): Promise<T[]> {
  const isOne = versions.length === 1
  return await eachOf(
    versions,
    (each) => isOne ? work(run, each) : run.part({ action, target: each.physical }, (part) => work(part, each)),
  )
}

/** Options that choose versions. */
type Choosing = TargetOptions & PrefixOption & { force?: boolean }

/** What is recorded of a command that was given a choice of versions. */
export function recordedChoice(
  found: readonly Version[],
  { force, older, newer, latest, all, allActive, prefix }: Choosing,
): Pick<RunOptions, 'target' | 'options'> {
  const target = found.map((each) => each.physical).join(' ') || null
  return { target, options: { force, older, newer, latest, all, allActive, prefix } }
}
