/**
 * `npm run torture -- --seed N --minutes M`: see CONTRIBUTING.md. Ends with 1 when a row and a document differ.
 * `--capture hooks|triggers|mixed`, `--weather punctual|late`, `--own postgres,elasticsearch` (or none),
 * `--focus NAME` (see focus.ts), `--round SECONDS`, `--report FILE`, `--mutation NAME` (or all) breaks a guard first;
 * `--seeds 1-8` tries seeds in turn.
 * @module
 */
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { startServers } from '../support/servers/servers.ts'
import { withStop } from '../support/servers/stop.ts'
import { tortureMutations } from './mutations.ts'
import type { Weather } from './proxy.ts'
import { torture } from './run.ts'
import type { TortureOptions } from './scene.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    minutes: { type: 'string', default: '1' },
    round: { type: 'string' },
    capture: { type: 'string', default: 'hooks' },
    weather: { type: 'string' },
    focus: { type: 'string' },
    own: { type: 'string', default: 'postgres,elasticsearch' },
    report: { type: 'string' },
    mutation: { type: 'string' },
  },
})

const print = (line: string) => void process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)

await withStop(async () => {
  const seed = Number(values.seed ?? Math.floor(Math.random() * 100_000))
  const own = values.own.split(',').filter((each) => each !== 'none' && each !== '') as TortureOptions['own']
  const minutes = Number(values.minutes)
  if (values.mutation !== undefined) {
    const args = ['--own', values.own, '--capture', values.capture, '--round', values.round ?? '20']
    return await tortureMutations(values.mutation, { seeds: seedsOf(values.seeds) ?? [seed], minutes, args, print })
  }
  if (own.length < 2) await useServers()
  const outcome = await torture({
    seed,
    lengthMs: minutes * 60_000,
    ...(values.round === undefined ? {} : { roundMs: Number(values.round) * 1_000 }),
    ...(values.weather === undefined ? {} : { weathers: [values.weather as Weather] }),
    ...(values.focus === undefined ? {} : { focus: values.focus }),
    capture: values.capture as TortureOptions['capture'],
    own,
    print,
  })
  const { faults, report, rounds, writes, strikes } = outcome
  print(`seed ${seed}: ${rounds} rounds, ${writes} writes, ${JSON.stringify(strikes)}`)
  if (faults.length === 0) return 0
  const lines = ['What is wrong:', ...faults.slice(0, 20), `(${faults.length} in all)`, '', ...report]
  if (values.report !== undefined) await writeFile(values.report, `${lines.join('\n')}\n`)
  for (const line of values.report === undefined ? lines : lines.slice(0, 8)) process.stdout.write(`${line}\n`)
  return 1
})

function seedsOf(range: string | undefined): number[] | undefined {
  if (range === undefined) return undefined
  const [from, to] = range.split('-').map(Number)
  return Array.from({ length: to! - from! + 1 }, (_, index) => from! + index)
}

async function useServers(): Promise<void> {
  const servers = await startServers()
  process.env.DATABASE_URL = servers.databaseUrl
  process.env.ELASTICSEARCH_URL = servers.elasticsearchUrl
}
