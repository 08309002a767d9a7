/**
 * A pg client as a connection of the core.
 * @module
 */
import type { Connection } from '../../src/ports.ts'

/** The members of a `pg` client that are used. */
export interface PgClientLike {
  query(config: object): Promise<{ rows: unknown[] }>
  on(event: 'end' | 'error' | 'notification', listener: (error?: unknown) => void): unknown
  end(): Promise<void>
}

type Parse = (text: string) => unknown

const number: Parse = Number
const parsers: Readonly<Record<number, Parse>> = {
  16: (text) => text === 't',
  21: number,
  23: number,
  26: number,
  114: JSON.parse,
  700: number,
  701: number,
  3802: JSON.parse,
}
const asText: Parse = (text) => text

// Given with every query, so that parsers the application installed (for int8 or dates, say) change nothing here.
const types = { getTypeParser: (oid: number): Parse => parsers[oid] ?? asText }

/** Runs one statement on a client with our own parsers. */
export async function queryClient<Row extends object>(
  client: Pick<PgClientLike, 'query'>,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const result = await client.query({ text, values: [...values], types })
  return result.rows as Row[]
}

/** Wraps a connected client; closing the wrapper ends the client. */
export function wrapClient(client: PgClientLike): Connection {
  const lost = new AbortController()
  for (const event of ['end', 'error'] as const) client.on(event, () => lost.abort())
  return {
    get lost() {
      return lost.signal.aborted
    },
    onLost(callback) {
      if (lost.signal.aborted) callback()
      else lost.signal.addEventListener('abort', callback, { once: true })
    },
    onNotice: (callback) => void client.on('notification', callback),
    query: (sql, values) => queryClient(client, sql, values),
    close: () => client.end().catch(() => {}),
  }
}
