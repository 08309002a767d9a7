/**
 * The off switch: with `ELASTIC_UMZUG=off` in the environment a process has no part in search.
 *
 * Nothing is recorded by hooks, no worker runs, and commands on indexes and the queue do nothing. SQL migrations are applied as Umzug
 * alone would, and what only looks goes on looking.
 * @module
 */
import type { Runtime } from '../ports.ts'

/** Whether this process is switched off. */
export function isOff(runtime: Pick<Runtime, 'env'>): boolean {
  return runtime.env('ELASTIC_UMZUG')?.toLowerCase() === 'off'
}

/** Tells on standard error, once, that this process is switched off. */
export function tellOff(runtime: Pick<Runtime, 'writeError'>): void {
  if (told.has(runtime)) return
  told.add(runtime)
  runtime.writeError(
    'ELASTIC_UMZUG=off: this process records no changes by hooks, runs no worker and leaves the search indexes alone; ' +
      'npx umzug es:verify --repair finds what is written meanwhile\n',
  )
}

/** Has nothing told: whoever switched it off by code knows. */
export function keepQuiet(runtime: object): void {
  told.add(runtime)
}

const told = new WeakSet<object>()

/** Commands of which all but those that only look do nothing, and say so. */
export function commandsOff<Commands extends object>(
  runtime: Runtime,
  commands: Commands,
  looking: readonly (keyof Commands)[],
): Commands {
  const idle = () => {
    tellOff(runtime)
    return Promise.resolve([])
  }
  const names = Object.keys(commands) as (keyof Commands)[]
  const all = names.map((name) => [name, looking.includes(name) ? commands[name] : idle])
  return Object.fromEntries(all) as Commands
}
