/**
 * CPU seconds of processes on this machine; none where they run elsewhere.
 * @module
 */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { execFileSync } from 'node:child_process'
import type { Client } from '@elastic/elasticsearch'
import type { Sequelize } from 'sequelize'

/** CPU seconds used so far, by who used them; NaN where that cannot be seen. */
export interface CpuSeconds {
  own: number
  backends: number
  search: number
}

/** Sees CPU seconds at any moment. */
export interface CpuMeter {
  /** So far: of this process, the backends of its database, and Elasticsearch. */
  look(): CpuSeconds
  stop(): void
}

/** Makes a meter; it asks now and then which backends there are. */
export async function startMeter(sequelize: Sequelize, client: Client): Promise<CpuMeter> {
  const { nodes } = await client.nodes.info({ metric: 'process' })
  const searching = Object.values(nodes).map((each) => (each.process as { id: number } | undefined)?.id ?? 0)
  let pids: number[] = []
  const ask = async () => {
    const [rows] = await sequelize.query('SELECT pid FROM pg_stat_activity WHERE datname = current_database()')
    pids = (rows as { pid: number }[]).map((each) => each.pid)
  }
  await ask()
  const timer = setInterval(() => void ask().catch(() => {}), 300)
  return {
    look() {
      const { user, system } = process.cpuUsage()
      return { own: (user + system) / 1e6, backends: sum(pids), search: sum(searching) }
    },
    stop: () => clearInterval(timer),
  }
}

function sum(pids: readonly number[]): number {
  return pids.reduce((total, pid) => total + secondsOf(pid), 0)
}

let ticks: number | undefined

function secondsOf(pid: number): number {
  ticks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
    return (Number(fields[11]) + Number(fields[12])) / ticks
  } catch {
    return NaN
  }
}

/** What was used between two looks. */
export function between(before: CpuSeconds, after: CpuSeconds): CpuSeconds {
  return {
    own: after.own - before.own,
    backends: after.backends - before.backends,
    search: after.search - before.search,
  }
}
