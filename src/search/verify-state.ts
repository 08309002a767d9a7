/**
 * How far a comparison has come: kept with its action, so that the next one goes on from there.
 * @module
 */
import { isHeld } from '../store/lock.ts'
import type { Store } from '../store/store.ts'
import type { Position } from './compare-pages.ts'
import type { Checked } from './repair.ts'

/** What has to be the same for one comparison to go on with another. */
export interface Compared {
  /** Id of the physical index: sequence numbers are those of this one. */
  uuid: string
  /** Whether differences are repaired. */
  repair: boolean
  /** Whether contents are compared, or keys only. */
  contents: boolean
}

/** Checkpoint of a comparison. */
export interface VerifyState {
  verify: Compared
  /** Where it goes on; null from the beginning. */
  position: Position | null
  /** What was found before. */
  checked: Checked
  /** Documents and rows that were compared before. */
  compared: number
  /** Moment at which it began. */
  began: string
}

/** Older ones are begun anew. */
const goneOnWithin = '1 day'

/**
 * The last whole comparison of a version, where it was stopped or killed; undefined where it ended, is under way, or was
 * another one. For that every comparison has to store its state before its first page.
 */
export async function interruptedVerify(
  { db, table, schema }: Store,
  physical: string,
  compared: Compared,
): Promise<VerifyState | undefined> {
  const [row] = await db.query<{ checkpoint: VerifyState; state: string; open: boolean }>(
    `SELECT a.checkpoint, a.state,
       a.checkpoint -> 'verify' = $2::jsonb AND a.created_at > clock_timestamp() - interval '${goneOnWithin}'
         AND NOT ${isHeld('$3', "'action.' || a.parent_id")}
         -- What was equal before may be so no more.
         AND NOT EXISTS (SELECT FROM ${table.suspicions} s WHERE s.noted_at > (a.checkpoint ->> 'began')::timestamptz) AS open
     FROM ${table.actions} a
     WHERE a.target = $1 AND a.parent_id IS NOT NULL AND a.checkpoint -> 'verify' IS NOT NULL ORDER BY a.id DESC LIMIT 1`,
    [physical, JSON.stringify(compared), schema],
  )
  return row?.open && row.state !== 'complete' && row.checkpoint.position !== null ? row.checkpoint : undefined
}
