/**
 * How much a populate sends at once: as much as the cluster takes, learned by all ranges of a process together.
 * @module
 */
import type { Documents, PageSize } from '../ports.ts'

/** What a process has learned about pages and the cluster. */
export interface Pressure {
  /** Limits of the next page. */
  readonly page: PageSize
  /** Requests that may be under way. */
  readonly requests: number
  /** Runs a request as soon as no more than that are under way. */
  slot<T>(request: () => Promise<T>): Promise<T>
  /** A page of so many documents was read: the next one has about as many bytes as a request takes. */
  read(documents: Documents): void
  /** A page was written in so many milliseconds. */
  wrote(ms: number): void
  /** The cluster has too much to do: fewer requests, and smaller ones. */
  overloaded(): void
  /** A page of so many documents was too large. */
  tooLarge(count: number): void
}

/** Limits that are never passed. */
export interface PressureLimits {
  /** Most rows of a page. */
  rows: number
  /** Most requests at once. */
  requests: number
  /** Longest that a request should take, in milliseconds. */
  slowMs: number
}

/**
 * Bytes of one request. Elasticsearch gains nothing from larger ones, and PostgreSQL, which sorts the rows of a page, writes
 * what is above its `work_mem` (4 MB by default) to disk: half as much CPU again.
 */
const mostBytes = 2_500_000
/** Below, smaller requests are no relief. */
const leastBytes = 100_000
/** Rows of the first page, whose documents may have any size. */
const firstRows = 500
/** Pages grow to so many times the rows of the page before. */
const growth = 4
/** Pages in a row after which larger ones are tried again. */
const growAfter = 8

/** Makes what is learned; it begins with small pages, and as many requests as it may. */
export function createPressure(most: PressureLimits): Pressure {
  let rows = Math.min(firstRows, most.rows)
  let bytes = mostBytes
  let fewer = most.rows
  let limit = most.requests
  let active = 0
  let streak = 0
  const waiting: (() => void)[] = []
  const ease = () => {
    streak = 0
    bytes = Math.max(leastBytes, Math.floor(bytes / 2))
  }
  const shrink = (count: number) => {
    fewer = rows = Math.max(1, Math.floor(Math.min(rows, count) / 2))
    ease()
  }
  return {
    get page() {
      // A page that is a little larger than meant need not be cut.
      return { rows, bytes: Math.ceil(bytes * 1.25) }
    },
    get requests() {
      return Math.floor(limit)
    },
    async slot(request) {
      while (active >= Math.floor(limit)) await new Promise<void>((resolve) => waiting.push(resolve))
      active++
      try {
        return await request()
      } finally {
        active--
        for (const each of waiting.splice(0)) each()
      }
    },
    read({ body, count }) {
      const fitting = count === 0 ? fewer : Math.floor(bytes * count / body.length)
      rows = Math.max(1, Math.min(fewer, fitting, rows * growth))
    },
    wrote(ms) {
      if (ms > most.slowMs) return ease()
      limit = Math.min(most.requests, limit + 1 / limit)
      if (++streak % growAfter > 0) return
      bytes = Math.min(mostBytes, bytes * 2)
      fewer = Math.min(most.rows, fewer * 2)
    },
    overloaded() {
      limit = Math.max(1, limit / 2)
      shrink(rows)
    },
    tooLarge: shrink,
  }
}
