/**
 * What crashed suites have left, found and removed by the next one that begins.
 * @module
 */
import { messageOf } from '../errors.ts'
import type { Db, Runtime, SearchClient } from '../ports.ts'
import { isHeld, openSession, type Session } from '../store/lock.ts'
import { openStore } from '../store/store.ts'
import { ageMs, schemaPattern, type SuiteNames, suiteOfSchema } from './names.ts'
import { inCluster, removeFromCluster, removeSchema } from './remove.ts'

/** Held by a suite, in each of its databases, from before its schema is made until after it is dropped. */
const lockName = 'testing'

/** Suites of other databases hold locks that nobody here can see: none of them lasts for a day. */
const foreignMs = 24 * 3_600_000

/** Where suites leave something. */
export interface Place {
  db: Db
  search: SearchClient | undefined
  runtime: Runtime
}

/** Takes the lock of a suite: from now on it lives, until the session is closed. */
export async function lockSuite(db: Db, { schema }: SuiteNames): Promise<Session> {
  const session = await openSession(openStore(db, schema))
  await session.tryLock(lockName)
  return session
}

/**
 * Removes what suites have left whose process is gone: of this database those that hold no lock; of others, in the cluster,
 * those that began a day ago. Any number of processes may do it at once. What cannot be removed now is told on standard
 * error, and left to the next.
 */
export async function removeLeftovers(place: Place): Promise<void> {
  const { db, search, runtime } = place
  try {
    const suites = await listSuites(db)
    for (const each of suites.filter(({ lives }) => !lives)) await removeDead(place, each.suite)
    if (!search) return
    const known = new Set(suites.map((each) => each.suite.id))
    const old = (await inCluster(search)).filter(({ suite }) => !known.has(suite.id) && ageMs(suite) > foreignMs)
    await removeFromCluster(search, old)
  } catch (error) {
    runtime.writeError(`What earlier tests have left in ${db.label} could not be removed: ${messageOf(error)}\n`)
  }
}

async function listSuites(db: Db): Promise<{ suite: SuiteNames; lives: boolean }[]> {
  const rows = await db.query<{ schema: string; lives: boolean }>(
    `SELECT n.nspname::text AS schema, ${isHeld('n.nspname', `'${lockName}'`)} AS lives
     FROM pg_namespace n WHERE n.nspname ~ $1 ORDER BY 1`,
    [schemaPattern],
  )
  return rows.map(({ schema, lives }) => ({ suite: suiteOfSchema(schema), lives }))
}

// The schema comes last: while it is there, what is left in the cluster is found by it.
async function removeDead({ db, search, runtime }: Place, suite: SuiteNames): Promise<void> {
  const session = await openSession(openStore(db, suite.schema))
  try {
    if (!(await session.tryLock(lockName))) return
    if (search) await removeFromCluster(search, await inCluster(search, suite.prefix))
    await removeSchema(db, runtime.clock, suite)
  } finally {
    await session.close()
  }
}
