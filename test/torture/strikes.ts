/**
 * Carries out what the plan says.
 * @module
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { lockKey } from '../../src/store/lock.ts'
import type { Library } from '../support/library.ts'
import type { Server } from '../support/servers/servers.ts'
import { killTree, waitFor } from '../support/world.ts'
import { pause, signal, type Slot } from './crew.ts'
import type { Event, Strike } from './plan.ts'
import type { BadProxy } from './proxy.ts'

/** What can be struck. */
export interface Targets {
  library: Library
  proxy: BadProxy
  slots: readonly Slot[]
  servers: Partial<Record<'postgres' | 'elasticsearch', Server>>
}

/** Carries out events. */
export interface Striker {
  readonly counts: Record<string, number>
  /** What was done, and what processes said, with times in milliseconds since 1970. */
  readonly log: readonly { at: number; what: string }[]
  note(what: string): void
  /** Begins an event; whoever is struck is not waited for. */
  strike(event: Event): void
  /** Resolves when every event is over, and both servers answer. */
  settle(): Promise<void>
  forget(): void
}

/** Makes a striker. */
export function createStriker(targets: Targets): Striker {
  const counts: Record<string, number> = {}
  let log: { at: number; what: string }[] = []
  const under = new Set<Promise<void>>()
  const note = (what: string) => void log.push({ at: Date.now(), what })
  return {
    counts,
    get log() {
      return log
    },
    note,
    strike(event) {
      const work = strikes[event.strike](targets, event)
        .then((what) => {
          if (what === undefined) return
          counts[event.strike] = (counts[event.strike] ?? 0) + 1
          note(`${event.strike}: ${what}`)
        })
        .catch((error) => note(`${event.strike}: could not be done: ${error}`))
        .finally(() => under.delete(work))
      under.add(work)
    },
    async settle() {
      while (under.size > 0) await Promise.all(under)
      await waitFor(() => targets.library.sql('SELECT 1'), { timeoutMs: 60_000 })
      await waitFor(() => targets.library.client.cluster.health({ wait_for_status: 'yellow', timeout: '1s' }), {
        timeoutMs: 60_000,
      })
    },
    forget: () => void (log = []),
  }
}

// It is free for moments only, while versions are built one after another: whoever waits in the database is the next.
const runLock = `SET LOCAL lock_timeout = '8s';
  SELECT pg_advisory_xact_lock(${lockKey("'elastic_umzug'", "'run'")})`

// An activation that has lost its run lock may still be about to move the alias.
const spareVersions = `SELECT physical FROM (
    SELECT physical, state, count(*) OVER (PARTITION BY index_id) AS live FROM elastic_umzug.index_versions
    WHERE state IN ('ready', 'active', 'retired')) v
  WHERE live > 1 AND state <> 'active' AND NOT EXISTS (
    SELECT FROM elastic_umzug.actions WHERE state = 'in_progress' AND action IN ('up', 'es:activate')
      AND started_at > clock_timestamp() - interval '5 s')
  ORDER BY physical`

let forgetting = 0
let dropping = false

/** Longest wait, in milliseconds, for the moment that matters. */
const patience = { deletes: 2_000, page: 1_000 }

// The moment that matters is when something is on its way to it; if none comes, any will do.
async function spareVersion(
  { client, prefix, sql }: Library,
  proxy: BadProxy,
  whom: number,
): Promise<string | undefined> {
  const names = await client.indices.getAlias({ name: ['books', 'editions'].map((each) => `${prefix}${each}`) })
  const rows = await sql<{ physical: string }>(spareVersions)
  const spares = rows.map((each) => each.physical).filter((each) => !(each in names))
  const found = () => spares.find((each) => proxy.holds('deletes', `${each}.write`))
  if (spares.length > 0 && proxy.weather === 'late') {
    await waitFor(found, { timeoutMs: patience.deletes, everyMs: 10 }).catch(() => {})
  }
  return found() ?? oneOf(spares, whom)
}

/** Does it; gives what it did, or nothing when there was nobody to do it to. */
type Blow = (targets: Targets, event: Event) => Promise<string | undefined>

const strikes: Record<Strike, Blow> = {
  async kill({ slots }, { whom }) {
    const slot = oneOf(slots, whom)
    if (!slot?.running) return undefined
    await killTree(slot.running)
    return slot.name
  },
  async stop({ slots }, { whom, ms }) {
    const slot = oneOf(slots, whom)
    if (!slot?.running) return undefined
    const began = new Date().toISOString().slice(17, 23)
    await pause(slot.running, ms)
    return `${slot.name}, from ${began} for ${Math.round(ms)} ms`
  },
  end({ slots }, { whom }) {
    const slot = oneOf(slots, whom)
    slot?.running?.kill('SIGTERM')
    return Promise.resolve(slot?.name)
  },
  // As time or a restart does, again and again for some time; the setting is the one that the version was made with.
  async 'forget deletes'({ library: { client, prefix }, proxy }, { whom, ms }) {
    // The moment that matters most is while a page is on its way.
    const page = () => proxy.holds('page')
    if (whom < 0.5) await waitFor(page, { timeoutMs: patience.page, everyMs: 10 }).catch(() => {})
    const index = `${prefix}*`
    const set = (gc_deletes: string) => client.indices.putSettings({ index, settings: { gc_deletes } })
    forgetting++
    try {
      await set('0s')
      const until = Date.now() + ms
      do {
        await client.indices.refresh({ index })
        await sleep(50)
      } while (Date.now() < until || page() && Date.now() < until + patience.page)
    } finally {
      // Several may be at it.
      if (--forgetting === 0) await set('10m')
    }
    return `for ${Math.round(ms)} ms`
  },
  async 'close and open'({ library: { client, prefix } }) {
    const index = `${prefix}*`
    await client.indices.flush({ index, force: true })
    await client.indices.close({ index })
    await client.indices.open({ index })
    return 'done'
  },
  // As a drop will do it, under the run lock, but for its patience: what is on its way to the index meets nothing.
  async drop({ library, proxy }, { whom }) {
    if (dropping) return undefined
    dropping = true
    const client = new pg.Client({ connectionString: library.databaseUrl })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query('BEGIN')
      await client.query(runLock)
      const spare = await spareVersion(library, proxy, whom)
      if (!spare) return undefined
      await client.query(
        `UPDATE elastic_umzug.index_versions SET state = 'dropped', dropped_at = clock_timestamp() WHERE physical = $1`,
        [spare],
      )
      await client.query('COMMIT')
      const onItsWay = proxy.holds('deletes', `${spare}.write`)
      await library.client.indices.delete({ index: spare })
      return `${spare}${onItsWay ? ', deletes are on their way to it' : ''}`
    } finally {
      dropping = false
      await client.end()
    }
  },
  async 'end backends'({ library }, { whom }) {
    const rows = await library.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND mod(pid, 3) = $1`,
      [Math.floor(whom * 3)],
    )
    return `${rows.length}`
  },
  async 'freeze backends'({ library }, { whom, ms }) {
    const rows = await library.sql<{ pid: number; client_port: number }>(
      `SELECT pid, client_port FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY pid`,
    )
    const row = oneOf(rows, whom)
    if (!row || !isPostgres(row.pid)) return undefined
    signal(row.pid, 'SIGSTOP')
    await sleep(ms)
    signal(row.pid, 'SIGCONT')
    return `${row.pid} for ${Math.round(ms)} ms`
  },
  async 'crash postgres'({ servers: { postgres } }, { ms }) {
    if (!postgres) return undefined
    await postgres.kill()
    await sleep(ms)
    await postgres.start()
    return 'it is back'
  },
  async 'search away'({ proxy }, { ms }) {
    await proxy.away(ms)
    return `for ${Math.round(ms)} ms`
  },
  async 'kill elasticsearch'({ servers: { elasticsearch } }) {
    if (!elasticsearch) return undefined
    await elasticsearch.kill()
    await elasticsearch.start()
    return 'it is back'
  },
}

function oneOf<T>(all: readonly T[], whom: number): T | undefined {
  return all[Math.floor(whom * all.length)]
}

// Not where the server runs in a container: its numbers are others.
function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres')
  } catch {
    return false
  }
}
