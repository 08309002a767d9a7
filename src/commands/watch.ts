/**
 * Beside a worker: looks whether the database or Elasticsearch went back in time, and checks ids after a restart.
 * @module
 */
import type { Events } from '../events.ts'
import type { Served } from '../queue/process.ts'
import { servedVersions } from '../queue/worker.ts'
import { checkVersion } from '../search/repair.ts'
import { forgetCheck, type IdCheck, waitingChecks } from '../search/restart.ts'
import { openSession } from '../store/lock.ts'
import type { Base } from './base.ts'
import { finishDrops } from './finish-drops.ts'
import { look } from './look.ts'
import { checkDeps } from './check.ts'

/** What runs beside a worker. */
export interface Watch {
  start(): void
  /** Ends after the step under way. */
  stop(): Promise<void>
}

const everyMs = 60_000
/** First pause after a fault, in milliseconds; it doubles with each. */
const retryMs = 2_000

/** Longest pause after a page of ids, in milliseconds: as long as the page took, so that half of the time is free. */
const longestPauseMs = 2_000

/**
 * Looks at the start, every minute, and when Elasticsearch is back; one process of all does it. Faults are emitted as
 * `search:watch:failed`, and it tries again.
 */
export function watchSearch(base: Base): Watch {
  const stop = new AbortController()
  let ring = new AbortController()
  let running: Promise<void> | undefined
  let off = () => {}
  const loop = async () => {
    for (let dueMs = 0, failures = 0; !stop.signal.aborted;) {
      ring = new AbortController()
      const failed = await step(base, dueMs, stop.signal).then(() => false, (error) => {
        if (!stop.signal.aborted) base.emitter.emit('search:watch:failed', { error })
        return true
      })
      failures = failed ? failures + 1 : 0
      const pauseMs = failed ? Math.min(everyMs, retryMs * 2 ** (failures - 1)) : everyMs
      await base.runtime.clock.sleep(pauseMs, AbortSignal.any([stop.signal, ring.signal]))
      // After a fault, and when Elasticsearch is back, it does not matter who looked a moment ago.
      dueMs = failed || ring.signal.aborted ? 0 : everyMs
    }
  }
  return {
    start() {
      off = base.emitter.on('queue:search:back', () => ring.abort())
      running ??= loop()
    },
    async stop() {
      off()
      stop.abort()
      await running
    },
  }
}

async function step(base: Base, dueMs: number, signal: AbortSignal): Promise<void> {
  // What cannot be deleted now is tried again, and keeps nobody from looking.
  await finishDrops(base).catch((error) => base.emitter.emit('search:watch:failed', { error }))
  await look(base, dueMs)
  if (!signal.aborted) await checkIds(base, signal)
}

// Those of versions that nobody here has the code for are left to others.
async function checkIds(base: Base, signal: AbortSignal): Promise<void> {
  const versions = await servedVersions(base.workerOptions())
  const waiting = await waitingChecks(base.store, versions.map((each) => each.version.id))
  for (const each of waiting) {
    if (signal.aborted) return
    await checkOnce(base, versions.find(({ version }) => version.id === each.versionId)!, each, signal)
  }
}

async function checkOnce(base: Base, served: Served, waiting: IdCheck, signal: AbortSignal): Promise<void> {
  const session = await openSession(base.store)
  try {
    if (!(await session.tryLock(`ids.${waiting.versionId}`))) return
    // Somebody else may have carried it out since it was listed.
    const [still] = await waitingChecks(base.store, [waiting.versionId])
    if (!still) return
    await recordCheck(base, served, signal)
    await forgetCheck(base.store, still)
  } finally {
    await session.close()
  }
}

async function recordCheck(base: Base, { version, source }: Served, signal: AbortSignal): Promise<void> {
  const { clock } = base.runtime
  const options = { exclusive: false, target: version.physical, signal }
  const found = await base.run('es:verify ids', options, async (run) => {
    let began = clock.now()
    const checked = await checkVersion(checkDeps(base, run, false), version, source, {
      contents: false,
      repair: true,
      async onPage() {
        await clock.sleep(Math.min(longestPauseMs, clock.now() - began), signal)
        began = clock.now()
      },
    })
    const { missing, extra } = checked.repaired
    run.say(
      `${version.physical}: ids checked after a restart of Elasticsearch; written anew: ${missing} missing, ${extra} extra`,
    )
    return { missing, extra }
  })
  const event: Events['verify:ids:complete'] = { index: version.index, version: version.number, ...found }
  base.emitter.emit('verify:ids:complete', event)
}
