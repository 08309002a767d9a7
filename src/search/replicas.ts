/**
 * Regard for replicas of the database: while they lag behind, a populate goes slower.
 * @module
 */
import type { Clock } from '../ports.ts'
import type { Store } from '../store/store.ts'

/** How often it is looked, in milliseconds. */
const lookMs = 5_000
/** Lag from which on pages wait, in milliseconds. */
const lagMs = 10_000
/** How long each page waits then, in milliseconds: less than any lease. */
const waitMs = 1_000

/** Waits a moment where replicas lag, and tells by how many milliseconds, once until they have caught up. */
export function createRegard(
  { store, clock }: { store: Store; clock: Clock },
  onLag: (lagMs: number) => void,
): (signal?: AbortSignal) => Promise<void> {
  let lookedAt = -Infinity
  let isLagging = false
  return async (signal) => {
    if (clock.now() - lookedAt >= lookMs) {
      lookedAt = clock.now()
      const lag = await replicaLag(store)
      if (lag > lagMs && !isLagging) onLag(lag)
      isLagging = lag > lagMs
    }
    if (isLagging) await clock.sleep(waitMs, signal)
  }
}

// Of those that this login may see; 0 where it may see none.
async function replicaLag({ db }: Store): Promise<number> {
  const [row] = await db.query<{ lag: number }>(
    `SELECT coalesce(max(extract(epoch FROM replay_lag)) * 1000, 0)::float8 AS lag FROM pg_stat_replication`,
  )
  return row!.lag
}
