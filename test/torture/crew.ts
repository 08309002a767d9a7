/**
 * Processes that are started again whenever they end, until they are dismissed.
 * @module
 */
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Knobs, Library } from '../support/library.ts'
import { killTree, type Running } from '../support/world.ts'

/** One place for a process. */
export interface Slot {
  readonly name: string
  /** The process that runs now. */
  readonly running: Running | undefined
  /** What it said last, as JSON. */
  last(): Record<string, unknown>
  /** Sum of a number in what every process of this place said last. */
  total(name: string): number
  /** Tells the process to end, kills it when it is still there after a time, and starts no other until `resume`. */
  dismiss(name?: 'SIGTERM' | 'SIGUSR2', patienceMs?: number): Promise<void>
  resume(): void
}

/** How a process is started: `umzug` with arguments, or a program of this folder. */
export interface Job {
  name: string
  args?: readonly string[]
  program?: string
  /** Drawn anew for every start. */
  knobs(): Knobs
  /** Gets every line it wrote, once. */
  onLine?(line: string): void
}

/** Opens a place, and starts a process there. */
export function openSlot(library: Library, job: Job): Slot {
  let running: Running | undefined
  let wanted = true
  const said: Record<string, unknown>[] = []
  let loop: Promise<void> | undefined
  const run = async () => {
    while (wanted) {
      running = start(library, job)
      const ended = await running.ended
      said.push(lastOf(ended.stdout))
      for (const line of `${ended.stdout}\n${ended.stderr}`.split('\n')) if (line !== '') job.onLine?.(line)
    }
    running = undefined
  }
  const slot: Slot = {
    name: job.name,
    get running() {
      return running
    },
    last: () => lastOf(running?.stdout ?? ''),
    total: (name) => [...said, slot.last()].reduce((sum, each) => sum + Number(each[name] ?? 0), 0),
    async dismiss(name = 'SIGTERM', patienceMs = 3_000) {
      wanted = false
      running?.kill(name)
      const late = setTimeout(() => running && void killTree(running), patienceMs)
      await loop
      clearTimeout(late)
    },
    resume() {
      wanted = true
      loop = run()
    },
  }
  slot.resume()
  return slot
}

function start(library: Library, { args = [], program, knobs }: Job): Running {
  if (program === undefined) return library.start(args, knobs())
  return library.run(fileURLToPath(new URL(program, import.meta.url)), knobs())
}

function lastOf(stdout: string): Record<string, unknown> {
  const line = stdout.slice(0, stdout.lastIndexOf('\n')).split('\n').at(-1)
  return line?.startsWith('{') ? JSON.parse(line) : {}
}

/** Stops a process for some time, as a machine that pauses. */
export async function pause(running: Running, ms: number): Promise<void> {
  signal(running.pid, 'SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, ms))
  signal(running.pid, 'SIGCONT')
}

/** Sends a signal; nothing happens when the process is gone. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended by itself.
  }
}
