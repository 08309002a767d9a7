/**
 * The writer's transaction, or one of our own around a single write.
 * @module
 */
import type { Sequelize, Transaction, TransactionOptions } from 'sequelize'
import type { WriteOptions } from './writes.ts'

/** Runs own statements on the writer's connection, one at a time. */
export type Run = <Row extends object>(sql: string, bind?: readonly unknown[]) => Promise<Row[]>

/** Key of the options of statements that are recorded already, or are our own. */
export const isKnown: unique symbol = Symbol('elastic-umzug: recorded')

/** Key of the options of statements that give back rows of ours alone: nobody else sees these. */
export const isRowless: unique symbol = Symbol('elastic-umzug: rows of its own')

interface ClassLike {
  _cls?: { get(name: 'transaction'): Transaction | null | undefined }
}

/** The transaction that a write is part of: the one it names, else the one that CLS holds. */
export function transactionOf(sequelize: Sequelize, { transaction }: WriteOptions): Transaction | null {
  if (transaction !== undefined) return transaction
  return (sequelize.constructor as unknown as ClassLike)._cls?.get('transaction') ?? null
}

/**
 * Runs statements in a transaction, or each by itself. They pass the application's `beforeQuery` and `afterQuery`
 * hooks, which nothing that uses its connection can avoid, but are not logged.
 */
export function runIn(sequelize: Sequelize, transaction: Transaction | null): Run {
  return (sql, bind) =>
    sequelize.query(sql, {
      // An empty list would make Sequelize look for values in the statement.
      ...(bind?.length ? { bind: [...bind] } : {}),
      type: 'SELECT',
      raw: true,
      nest: false,
      plain: false,
      useMaster: true,
      logging: false,
      // A second try inside a transaction that has failed would only hide why.
      retry: { max: 1 },
      transaction,
      [isKnown]: true,
    } as never) as never
}

/**
 * Does the work in the writer's transaction, else in one of our own, of which CLS and the application know nothing.
 * An error takes our own back and reaches the caller as it is; "retry" of the instance's options does not apply then.
 */
export async function inTransaction<T>(
  sequelize: Sequelize,
  options: WriteOptions,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  const writers = transactionOf(sequelize, options)
  if (writers) return await work(writers)
  // Without a level it has the one that the single statement would have had, whatever the application's transactions have.
  const own = await sequelize.transaction({ isolationLevel: undefined, logging: false } as TransactionOptions)
  try {
    const result = await work(own)
    await own.commit()
    return result
  } catch (error) {
    // A connection that is lost cannot roll back; the first error says why.
    if (!(own as { finished?: string }).finished) await own.rollback().catch(() => {})
    throw error
  }
}

/** Makes sure that a transaction is not committed, whatever its owner does about the error that follows. */
export async function spoil(run: Run): Promise<void> {
  await run('SELECT 1 / 0').catch(() => {})
}

/** Calls back when the outermost transaction commits, once for all its writes; at once when there is none. */
export function afterCommit(transaction: Transaction | null, seen: WeakSet<object>, callback: () => void): void {
  if (!transaction) return quietly(callback)
  const root = rootOf(transaction)
  if (seen.has(root)) return
  seen.add(root)
  // Only a hint: it comes after a failed commit, too, and what counts is in the table.
  root.afterCommit(() => quietly(callback))
}

/**
 * The outermost transaction. The callback of a savepoint comes before the outer commit, or never: only that of the
 * outermost one tells.
 */
export function rootOf(transaction: Transaction): Transaction {
  let root = transaction as Transaction & { parent?: Transaction }
  while (root.parent) root = root.parent
  return root
}

function quietly(callback: () => void): void {
  try {
    callback()
  } catch {
    // The write is committed: a fault of whoever is woken must not look like one of the write.
  }
}
