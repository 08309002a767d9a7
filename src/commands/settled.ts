/**
 * Waiting until writes are searchable.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { markNow, type Unprocessed, unprocessed } from '../queue/changes.ts'
import { drain, pauseAfter } from '../queue/drain.ts'
import { servedVersions, type Worker } from '../queue/worker.ts'
import { refresh } from '../search/physical.ts'
import type { Base } from './base.ts'

const pollMs = 10

/**
 * Waits until everything committed before the call is searchable in every version that this code serves; processes it
 * here while no worker runs. Throws `VERSION_BEHIND` after `timeoutMs`.
 */
export async function settled(
  base: Base,
  worker: () => Worker | undefined,
  timeoutMs: number = Infinity,
): Promise<void> {
  if (!base.search || base.off) return
  const { store, runtime: { clock } } = base
  const options = base.workerOptions()
  const mark = await markNow(store)
  const served = await servedVersions(options)
  const versionIds = served.map((each) => each.version.id)
  const end = clock.now() + timeoutMs
  for (;;) {
    const asked = clock.now()
    const left = await unprocessed(store, versionIds, mark)
    if (left.changes + left.pending === 0) break
    if (clock.now() >= end) throw behind(left, timeoutMs)
    const running = worker()
    running?.wake()
    if (running) await clock.sleep(pauseAfter(clock.now() - asked, pollMs))
    else await drain(options, { versionIds, work: true, mark, timeoutMs: end - clock.now() })
  }
  for (const { version } of served) await refresh(options.search, version.physical)
}

function behind({ changes, pending }: Unprocessed, timeoutMs: number): ElasticUmzugError {
  return new ElasticUmzugError(
    'VERSION_BEHIND',
    `After ${timeoutMs} ms, ${changes} changes and ${pending} pending keys are not in the indexes.`,
    { next: 'npx umzug queue:status' },
  )
}
