/**
 * How much is sent at once: two small controllers that know nothing of what is sent.
 * @module
 */

/** How many batches a process sends at once: one more after each round that went well, half as many at each refusal. */
export interface Pace {
  /** Batches at once, at least 1. */
  readonly batches: number
  /** A batch of so many bytes was written in so many milliseconds. */
  wrote(bytes: number, ms: number): void
  /** The cluster refused a batch, or did not answer in time. */
  overloaded(): void
}

/** Requests cost time however small they are: about as much as so many bytes. */
const fixedBytes = 50_000
/** Share of the newest value in the averages of the last few and of the last many. */
const newest = { few: 0.2, many: 0.02 }
/** Batches before the averages say something. */
const firstOnes = 20
/** So many times slower than usual, the cluster has more to do than it can. */
const slow = 2

/** Makes a pace of at most so many batches. It begins with one, as after a pause. */
export function createPace(most: number): Pace {
  let limit = 1
  let seen = 0
  const average = { few: 0, many: 0 }
  const isSlow = (bytes: number, ms: number): boolean => {
    const cost = ms / (bytes + fixedBytes)
    // At first the plain mean: a single value would weigh too much.
    seen++
    average.few += (cost - average.few) * Math.max(newest.few, 1 / seen)
    average.many += (cost - average.many) * Math.max(newest.many, 1 / seen)
    return seen > firstOnes && average.few > slow * average.many
  }
  return {
    get batches() {
      return Math.floor(limit)
    },
    wrote(bytes, ms) {
      limit = isSlow(bytes, ms) ? Math.max(1, limit * 0.9) : Math.min(most, limit + 1 / limit)
    },
    overloaded() {
      limit = Math.max(1, limit / 2)
    },
  }
}

/** How many keys a batch has: fitting into the bytes of a request, and no more than the cluster takes. */
export interface BatchSize {
  /** Keys of the next batch, at least 1. */
  readonly keys: number
  /** A batch was written. */
  wrote(keys: number, bytes: number): void
  /** Half as many: a batch of so many keys was too large, or holds one that cannot be read. */
  halve(keys: number): void
  /** Half as many, but not ever fewer: the cluster is busy. */
  ease(): void
}

/** Bytes of a request beyond which the next batch is made smaller: larger ones gain nothing and cost memory. */
const batchBytes = 5_000_000
/** Batches in a row after which a larger one is tried: at once, one that was too large would be tried again and again. */
const growAfter = 8
/** Smaller than this share of the largest, batches are no relief for a busy cluster. */
const easiest = 1 / 8

/** Makes a size of at most so many keys. */
export function createBatchSize(most: number): BatchSize {
  let keys = most
  let streak = 0
  const shrink = (to: number) => {
    keys = Math.max(1, Math.floor(to))
    streak = 0
  }
  return {
    get keys() {
      return keys
    },
    wrote(written, bytes) {
      const grown = ++streak % growAfter === 0 ? keys * 2 : keys
      const fitting = bytes === 0 ? most : Math.floor(batchBytes * written / bytes)
      keys = Math.max(1, Math.min(most, grown, fitting))
    },
    halve: (tried) => shrink(Math.min(keys, tried) / 2),
    ease: () => shrink(Math.min(keys, Math.max(keys / 2, most * easiest))),
  }
}
