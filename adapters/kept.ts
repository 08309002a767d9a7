/**
 * What a source learned from the database, kept as long as it holds.
 * @module
 */
import type { Queryable } from '../src/ports.ts'
import { sqlState } from './sequelize/castable.ts'

/** Something that is read from the database once. */
export interface Kept<T> {
  /** As it was last read, when it was. */
  known(): T | undefined
  /** Reads it anew. */
  prepare(db: Queryable): Promise<T>
  /** Works with what is kept; when a statement fails over names or types, once more with what is read anew. */
  using<R>(db: Queryable, work: (kept: T) => Promise<R>): Promise<R>
}

/** Keeps what `make` gives. */
export function keep<T>(make: (db: Queryable) => Promise<T>): Kept<T> {
  let kept: Promise<T> | undefined
  let known: T | undefined
  const prepare = (db: Queryable) => {
    const made = make(db).then((each) => known = each)
    kept = made
    // A failure is not kept: a migration may create what is missing.
    made.catch(() => {
      if (kept === made) kept = undefined
    })
    return made
  }
  return {
    known: () => known,
    prepare,
    async using(db, work) {
      const fresh = kept === undefined
      const held = await (kept ?? prepare(db))
      try {
        return await work(held)
      } catch (error) {
        // A migration may have changed a type or a column under a running process: look again, once.
        if (fresh || !/^(22|42)/.test(sqlState(error))) throw error
        return await work(await prepare(db))
      }
    },
  }
}
