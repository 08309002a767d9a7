/**
 * A torture: processes write, work and build while others are killed, stopped and cut off; in the end every row and every
 * document must agree.
 * @module
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomFrom } from '../fixtures/library/writes.ts'
import { createLibrary, type Library } from '../support/library.ts'
import { startOwn, waitFor, whyNoOwn } from '../support/world.ts'
import { check, clear, dropSpares, unwritten } from './check.ts'
import { signal, type Slot } from './crew.ts'
import { focuses, focusesFor } from './focus.ts'
import { drawPlan, type Plan, printPlan } from './plan.ts'
import { startBadProxy } from './proxy.ts'
import { capturesOf, leaseMs, openScene, type Scene, type TortureOptions } from './scene.ts'
import { clearTrace, historyOf, installTrace } from './trace.ts'

/** How it went. */
export interface Outcome {
  /** Lines about what went wrong; empty when nothing did. */
  faults: string[]
  /** Everything that helps to understand it. */
  report: string[]
  rounds: number
  writes: number
  strikes: Record<string, number>
}

const rows = 600

/** Runs a torture to its end, or to the first round that went wrong. */
export async function torture(options: TortureOptions): Promise<Outcome> {
  const { own } = options
  for (const kind of own) {
    const reason = await whyNoOwn(kind)
    if (reason !== undefined) throw new Error(reason)
  }
  const started = await Promise.all(own.map(async (kind) => [kind, await startOwn(kind)] as const))
  const servers = Object.fromEntries(started) as Scene['servers']
  const library = await createLibrary({
    ...(servers.postgres ? { databaseUrl: servers.postgres.url } : {}),
    ...(servers.elasticsearch ? { elasticsearchUrl: servers.elasticsearch.url } : {}),
  }, { LEASE_MS: leaseMs, POLL_MS: 30, ROWS: rows })
  try {
    return await tortured(options, library, servers)
  } finally {
    // Where both servers end anyway, what is on them need not be removed.
    await library.drop().catch((error) => options.print(`the world could not be removed: ${error}`))
    await Promise.all(started.map(([, server]) => server.stop()))
  }
}

async function tortured(options: TortureOptions, library: Library, servers: Scene['servers']): Promise<Outcome> {
  // Apart from each other: how often the others draw depends on the machine, and the plan must not.
  const [planning, random] = [randomFrom(options.seed), randomFrom(options.seed + 1)]
  const proxy = await startBadProxy(library.elasticsearchUrl, randomFrom(options.seed + 2))
  await library.done(['up'], { CAPTURE: capturesOf(options).at(-1) })
  await installTrace(library)
  const scene = openScene(options, library, proxy, random, servers)
  const outcome: Outcome = { faults: scene.faults, report: [], rounds: 0, writes: 0, strikes: scene.striker.counts }
  try {
    const rounds = Math.max(1, Math.round(options.lengthMs / (options.roundMs ?? 20_000)))
    while (outcome.rounds < rounds && scene.faults.length === 0) {
      const plan = planRound(options, planning, outcome.rounds++, rounds)
      await round(scene, plan)
      if (scene.faults.length > 0) outcome.report = await reportOf(scene, plan)
      else await forget(scene)
    }
  } finally {
    outcome.writes = sum(scene.writers.map((each) => each.total('writes')))
    for (const each of scene.slots) for (const pid of pidsOf(each)) signal(pid, 'SIGCONT')
    await Promise.all(scene.slots.map((each) => each.dismiss()))
    await proxy.landed()
    await proxy.stop()
  }
  return outcome
}

function planRound(options: TortureOptions, planning: () => number, number: number, rounds: number): Plan {
  const { weathers, focus: given, own } = options
  const weather = weathers?.[number % weathers.length] ?? (planning() < 0.7 ? 'punctual' : 'late')
  const possible = focusesFor(weather)
  const drawn = possible[Math.floor(planning() * possible.length)]!
  return drawPlan(planning, {
    lengthMs: options.lengthMs / rounds,
    leaseMs,
    ownPostgres: own.includes('postgres'),
    ownElasticsearch: own.includes('elasticsearch'),
    weather,
    focus: given ?? drawn,
  })
}

async function round(scene: Scene, plan: Plan): Promise<void> {
  const { options, proxy, striker } = scene
  options.print(
    `seed ${options.seed}: ${plan.events.length} events, requests are ${plan.weather}, focus: ${plan.focus}`,
  )
  scene.quiet = false
  await focusOn(scene, plan)
  await toggle(scene)
  if (scene.builder.running === undefined) scene.builder.resume()
  // Something is built first, so that there is more than one version, and one to drop.
  await waitFor(() => isBuilt(scene.builder), { timeoutMs: 10_000 }).catch(() => {})
  proxy.weather = plan.weather
  proxy.fates = focuses[plan.focus]!.fates ?? {}
  const started = Date.now()
  for (const event of plan.events) {
    await sleep(Math.max(0, started + event.at - Date.now()))
    if (scene.faults.length > 0) break
    striker.strike(event)
  }
  await calm(scene)
  if (scene.faults.length === 0) scene.faults.push(...await check(scene.library))
}

// The processes read from their environment what to be hard on.
async function focusOn(scene: Scene, { focus }: Plan): Promise<void> {
  if (scene.focus === focus) return
  scene.focus = focus
  await Promise.all(scene.slots.map((each) => each.dismiss()))
  for (const each of scene.slots) each.resume()
}

// Everybody lives, nobody writes, nothing is under way.
async function calm(scene: Scene): Promise<void> {
  const { proxy, striker, library, options } = scene
  proxy.weather = 'calm'
  const step = (what: string) => process.env.TORTURE_STEPS && options.print(`  ${what}`)
  step('calm')
  await striker.settle()
  scene.quiet = true
  step('settled')
  await toggle(scene)
  step('quiet')
  // What it is at may be what shows a fault.
  await scene.builder.dismiss('SIGUSR2', 15_000)
  step('builder gone')
  await proxy.landed()
  await clear(library)
  step('cleared')
  const captures = capturesOf(options)
  const up = await library.cli(['up'], {
    REVISION: scene.random() < 0.5 ? 1 : 2,
    CAPTURE: captures[Math.floor(scene.random() * captures.length)],
  })
  if (up.code !== 0) scene.faults.push(`up failed when all was well again: ${up.stdout}${up.stderr}`)
  step('up')
  const nothing = async () => (await unwritten(library)).length === 0
  await waitFor(nothing, { timeoutMs: 40_000, everyMs: 100 }).catch(async () => {
    scene.faults.push(...(await unwritten(library)).slice(0, 5).map((each) => `it was never written: ${each}`))
  })
}

// A writer that starts just now reads from its environment whether it is to be quiet.
async function toggle(scene: Scene): Promise<void> {
  const isRight = (each: Slot) => {
    const { state } = each.last()
    return state !== undefined && (state === 'quiet') === scene.quiet
  }
  const told = new Set<unknown>()
  await waitFor(() => {
    for (const each of scene.writers) {
      const { running } = each
      if (!running || each.last().state === undefined || isRight(each) || told.has(running)) continue
      told.add(running)
      running.kill('SIGUSR2')
    }
    return scene.writers.every(isRight)
  }, { timeoutMs: 60_000 })
}

function isBuilt(builder: Slot): boolean {
  return /\{"step":"rebuild","ms":\d+\}/.test(builder.running?.stdout ?? '')
}

async function forget({ library, proxy, striker, options }: Scene): Promise<void> {
  await dropSpares(library)
  proxy.forget()
  striker.forget()
  await clearTrace(library)
  options.print('all rows and documents agree')
}

async function reportOf({ options, faults, library, proxy, striker }: Scene, plan: Plan): Promise<string[]> {
  const lines = [
    `seed ${options.seed}, capture ${options.capture}`,
    '',
    'Plan:',
    ...printPlan(plan),
    '',
    'What was done:',
  ]
  lines.push(...striker.log.map(({ at, what }) => `${new Date(at).toISOString().slice(11, 23)} ${what}`))
  const keys = new Set(faults.flatMap((each) => /^\S+ (.*?): (?:missing|different|too much)/s.exec(each)?.[1] ?? []))
  for (const key of [...keys].slice(0, 3)) {
    lines.push('', `History of ${key}:`, ...await historyOf(library, proxy.bulks, striker.log, key))
  }
  return lines
}

function pidsOf({ running }: Slot): number[] {
  return running ? [running.pid] : []
}

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)
