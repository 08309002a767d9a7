/**
 * Processes that share one update: on this machine by `--workers`, on others by running the same command.
 * @module
 */
import { startWorker } from '../queue/worker.ts'
import type { LoadOptions } from '../search/load.ts'
import { populate } from '../search/populate.ts'
import { rangeProgress } from '../search/ranges.ts'
import { refreshesUnderWay } from '../search/refresh-state.ts'
import { copyPlan } from '../search/slices.ts'
import { isMadeFrom, listVersions, type Version } from '../search/versions.ts'
import type { About } from '../store/actions.ts'
import { isHeld } from '../store/lock.ts'
import type { Base } from './base.ts'
import { counting, updateName } from './fill.ts'
import type { Run } from './run.ts'

/** What taking part needs. */
export interface Joining {
  load: LoadOptions
  signal: AbortSignal | undefined
  say(line: string): void
  /** Records a part of the work. */
  part<T>(about: About, work: (part: Run) => Promise<T>): Promise<T>
}

/**
 * Takes part in what others fill and refresh at the moment, as far as this code has the definitions: takes ranges of what
 * is populated, and works on the queue of what is refreshed, until there is nothing left to take.
 */
export async function join(base: Base, joining: Joining): Promise<void> {
  const known = (await listVersions(base.store, base.prefix)).filter((version) =>
    base.definitions.some((each) => isMadeFrom(version, each))
  )
  for (const version of known) if (version.state === 'populating') await joinFill(base, joining, version)
  const refreshed = await refreshesUnderWay(base.store)
  for (const version of known) if (refreshed.includes(version.physical)) await joinRefresh(base, joining, version)
}

async function joinFill(base: Base, { load, signal, say, part }: Joining, version: Version): Promise<void> {
  const { ranges, done } = await rangeProgress(base.store, version.id)
  // The parts of a copy are tasks of the cluster: there is nothing to take.
  if (ranges === done || await copyPlan(base.store, version.id)) return
  const { source } = base.definitions.find((each) => isMadeFrom(version, each))!
  const options = base.workerOptions()
  say(`${version.physical}: takes part in populating it`)
  await part(
    { action: updateName, target: version.physical, options: { joined: true } },
    (run) =>
      counting(base, run, version, () =>
        populate(options, {
          version,
          source,
          workers: options.concurrency,
          load,
          expected: version.rowsExpected ?? 0,
          join: true,
          signal,
        })),
  )
  say(`${version.physical}: every range is populated`)
}

const everyMs = 200

async function joinRefresh(base: Base, { signal, say }: Joining, version: Version): Promise<void> {
  say(`${version.physical}: takes part in updating it`)
  const worker = startWorker({ ...base.workerOptions(), only: [version.id] })
  try {
    while (!signal?.aborted && (await refreshesUnderWay(base.store)).includes(version.physical)) {
      await base.runtime.clock.sleep(everyMs, signal)
    }
  } finally {
    await worker.stop()
  }
}

/** Takes part in the work of another process of this machine until its action has ended, or it is gone. */
export async function joinAction(base: Base, parentId: string, joining: Omit<Joining, 'part'>): Promise<void> {
  const { store, runtime: { clock } } = base
  const over = new AbortController()
  const isOver = async () => {
    const [row] = await store.db.query<{ held: boolean }>(
      `SELECT ${isHeld('$1', `'action.' || $2::text`)} AS held`,
      [store.schema, parentId],
    )
    return !row!.held
  }
  const watching = (async () => {
    while (!over.signal.aborted && !(await isOver().catch(() => false))) await clock.sleep(everyMs, over.signal)
    over.abort()
  })()
  const signal = joining.signal ? AbortSignal.any([joining.signal, over.signal]) : over.signal
  const part: Joining['part'] = (about, work) =>
    base.run(about.action, { ...about, exclusive: false, parentId, signal, onLine: joining.say }, work)
  try {
    while (!signal.aborted) {
      await join(base, { ...joining, signal, part }).catch((error) => {
        if (!over.signal.aborted) throw error
      })
      await clock.sleep(everyMs, signal)
    }
  } finally {
    over.abort()
    await watching
  }
}
