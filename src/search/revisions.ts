/**
 * Revisions of what the versions depend on: a transaction whose snapshot is too old to see one learns that there is one.
 * @module
 */
import type { Queryable } from '../ports.ts'
import { quoteText } from '../sql.ts'
import { lockKey } from '../store/lock.ts'
import type { Store } from '../store/store.ts'

/**
 * Draws the next revision, for a row that is written in the same READ COMMITTED transaction. Until its end nobody else
 * draws one: whoever sees a revision sees every lower one too. One that was rolled back or deleted never comes again.
 */
export async function drawRevision(store: Store, tx: Queryable): Promise<string> {
  await lockRevisions(store, tx)
  const [row] = await tx.query<{ revision: string }>('SELECT nextval($1::regclass) AS revision', [
    store.name('revisions'),
  ])
  return row!.revision
}

/**
 * Announces the revision of a version: from now on, transactions that cannot see it are refused their writes. It must be
 * committed, and its row must stay.
 */
export async function announce(store: Store, versionId: string): Promise<void> {
  const announced = store.name('announced_versions')
  await store.db.transaction(async (tx) => {
    await lockRevisions(store, tx)
    await tx.query(
      `SELECT setval($1::regclass, greatest(v.revision, a.last_value))
       FROM ${store.table.index_versions} v, ${announced} a WHERE v.id = $2`,
      [announced, versionId],
    )
  })
}

async function lockRevisions({ schema }: Store, tx: Queryable): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(${lockKey(quoteText(schema), quoteText('revisions'))})`)
}
