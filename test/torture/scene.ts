/**
 * Who takes part in a torture: the processes, and what is known of them.
 * @module
 */
import process from 'node:process'
import type { Library } from '../support/library.ts'
import type { Server } from '../support/servers/servers.ts'
import { type Job, openSlot, type Slot } from './crew.ts'
import { focuses, knobsOf } from './focus.ts'
import type { BadProxy, Weather } from './proxy.ts'
import { createStriker, type Striker } from './strikes.ts'

/** How to torture. */
export interface TortureOptions {
  seed: number
  /** Length of all rounds. */
  lengthMs: number
  /** Length of a round without its end, in which everything drains and is compared. Default 20,000. */
  roundMs?: number
  /** What captures the changes. */
  capture: 'hooks' | 'triggers' | 'mixed'
  /** Which servers are started for it, and killed; the others are those of the environment. */
  own: readonly ('postgres' | 'elasticsearch')[]
  /** Of the rounds, in turn; default: by the seed. */
  weathers?: readonly Weather[]
  /** What every round is hardest on; default: by the seed, anew for each. */
  focus?: string
  print(line: string): void
}

/** Everybody, and everything that happens to them. */
export interface Scene {
  options: TortureOptions
  library: Library
  proxy: BadProxy
  random: () => number
  servers: Partial<Record<'postgres' | 'elasticsearch', Server>>
  striker: Striker
  writers: Slot[]
  slots: Slot[]
  builder: Slot
  faults: string[]
  /** True while nobody is to write. */
  quiet: boolean
  /** What the processes are hardest on. */
  focus: string
}

/** Length of a claim. */
export const leaseMs = 1_000

/** What a builder may meet only when something is wrong. */
const wrongCodes =
  /VERIFY_FAILED|DOCUMENT_REFUSED|MAPPING_REFUSED|SOURCE_INVALID|"step":.*(?:TypeError|is not a function)/

/** Starts everybody; nobody writes before they are told to. */
export function openScene(
  options: TortureOptions,
  library: Library,
  proxy: BadProxy,
  random: () => number,
  servers: Scene['servers'],
): Scene {
  const focus = options.focus ?? 'anything'
  const scene = { options, library, proxy, random, servers, faults: [], quiet: true, focus } as unknown as Scene
  const job = (name: string, capture: string, revision: () => number, rest: Partial<Job>): Job => ({
    name,
    knobs: () => ({
      ELASTICSEARCH_URL: proxy.url,
      CAPTURE: capture,
      RAW: options.capture === 'triggers' ? 1 : undefined,
      REVISION: revision(),
      QUIET: scene.quiet ? 1 : undefined,
      SEED: Math.floor(random() * 1e9),
      STALLS: Math.floor(random() * 1e9) + 1,
      PGAPPNAME: name,
      ...knobsOf(focuses[scene.focus]!),
    }),
    onLine: (line) => heard(scene, name, line),
    ...rest,
  })
  const [one, two = one] = capturesOf(options)
  scene.writers = [
    openSlot(library, job('writer 1', one!, () => 1, { program: 'writer.ts' })),
    openSlot(library, job('writer 2', two!, () => 2, { program: 'writer.ts' })),
  ]
  scene.builder = openSlot(library, job('builder', two!, () => random() < 0.5 ? 1 : 2, { program: 'builder.ts' }))
  scene.slots = [
    ...scene.writers,
    openSlot(library, job('worker 1', one!, () => 1, { args: ['queue:work'] })),
    openSlot(library, job('worker 2', two!, () => 2, { args: ['queue:work'] })),
    scene.builder,
  ]
  scene.striker = createStriker(scene)
  return scene
}

/**
 * What captures. Mixed, as in a deploy that moves from one to the other: processes of both at once, and each `up` installs
 * or removes triggers.
 */
export function capturesOf({ capture }: TortureOptions): string[] {
  return capture === 'mixed' ? ['hooks', 'triggers'] : [capture]
}

function heard(scene: Scene, name: string, line: string): void {
  if (line.startsWith('{"state"')) return
  const { striker, faults } = scene
  const { step, code } = line.startsWith('{') ? JSON.parse(line) as { step?: string; code?: string } : {}
  if (step !== undefined) {
    const what = code === undefined ? step : `${step} failed`
    striker.counts[what] = (striker.counts[what] ?? 0) + 1
  }
  if (wrongCodes.test(line)) faults.push(`${name} failed: ${line}`)
  if (process.env.TORTURE_STEPS && name === 'builder') scene.options.print(line.slice(0, 300))
  striker.note(`${name}: ${line.slice(0, 300)}`)
}
