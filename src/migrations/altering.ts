/**
 * Makes the triggers anew together with the statements of migrations that rename or drop what they read.
 * @module
 */
import type { Sequelize, Transaction, TransactionOptions } from 'sequelize'
import type { Db, Queryable } from '../ports.ts'
import { alterationOf } from './alterations.ts'

/** What is done in the transaction of every statement that may rename or drop columns or tables. */
export interface Remaking {
  db: Db
  /** Makes anew what no longer fits, in the given transaction. */
  remake(tx: Queryable): Promise<void>
  /** Makes it anew by itself: for what was altered unseen, and what others were in the way of. */
  mend(): Promise<void>
}

type Query = (sql: string | { query: string }, options?: { transaction?: Transaction | null }) => Promise<unknown>

interface ClassLike {
  _cls?: { get(name: 'transaction'): Transaction | undefined }
}

/**
 * The instance, except that its `query` remakes: in the statement's own transaction (named or of CLS), else in one of
 * ours around both, so that no write of the application meets one without the other. What cannot run inside a
 * transaction is remade for right after it; a crash between leaves that to the next migration, or `up`.
 */
export function alteringSequelize(sequelize: Sequelize, remaking: Remaking): Sequelize {
  // Looked up at every call: capturing may wrap it meanwhile.
  const send: Query = (sql, options) => (sequelize.query as unknown as Query).call(sequelize, sql, options)
  const query: Query = async (sql, options = {}) => {
    const alteration = await alterationOf(typeof sql === 'string' ? sql : sql.query)
    if (!alteration) return await send(sql, options)
    const transaction = transactionOf(sequelize, options)
    if (transaction) return await sendWithin(remaking, transaction, () => send(sql, options))
    if (alteration.place === 'around') {
      return await sendAround(sequelize, remaking, (own) => send(sql, { ...options, transaction: own }))
    }
    const result = await send(sql, options)
    await remaking.mend()
    return result
  }
  return Object.create(sequelize, { query: { value: query, writable: true, configurable: true } }) as Sequelize
}

function transactionOf(sequelize: Sequelize, { transaction }: { transaction?: Transaction | null }) {
  if (transaction !== undefined) return transaction
  return (sequelize.constructor as unknown as ClassLike)._cls?.get('transaction')
}

async function sendWithin({ db, remake }: Remaking, transaction: Transaction, send: () => Promise<unknown>) {
  const result = await send()
  await remake(db.within(transaction))
  return result
}

async function sendAround(
  sequelize: Sequelize,
  remaking: Remaking,
  send: (own: Transaction) => Promise<unknown>,
): Promise<unknown> {
  // Of the level that the statement alone would have had, whatever the application's transactions have.
  const own = await sequelize.transaction({ isolationLevel: undefined, logging: false } as TransactionOptions)
  try {
    const result = await sendWithin(remaking, own, () => send(own))
    await own.commit()
    return result
  } catch (error) {
    // A connection that is lost cannot roll back; the first error says why.
    if (!(own as { finished?: string }).finished) await own.rollback().catch(() => {})
    throw error
  }
}

/** Runs a text on a connection of its own, and remakes with it. */
export async function alterOn(connection: Queryable, text: string, remaking: Remaking): Promise<void> {
  const alteration = await alterationOf(text)
  if (!alteration) return void await connection.query(text)
  if (alteration.commitAt !== undefined) {
    await connection.query(text.slice(0, alteration.commitAt))
    await remaking.remake(connection)
    return void await connection.query(text.slice(alteration.commitAt))
  }
  // What cannot run in a transaction is remade for when the migration has ended.
  if (alteration.place === 'after') return void await connection.query(text)
  await connection.query('BEGIN')
  await connection.query(text)
  await remaking.remake(connection)
  await connection.query('COMMIT')
}
