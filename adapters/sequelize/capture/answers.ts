/**
 * What the server answers, changed before Sequelize reads it.
 * @module
 */
import { type ConnectionLike, query as sendTo, type ResultLike } from './bypass-send.ts'

/** Sequelize's object of one statement, as far as it is used. */
export interface Answered {
  connection: ConnectionLike
}

/** Runs what asks the server through the connection of a statement, and answers in its place. */
export async function answering(
  query: Answered,
  answer: (sql: string, parameters: unknown[] | undefined) => Promise<ResultLike | ResultLike[]>,
  run: () => Promise<unknown>,
): Promise<unknown> {
  const { connection } = query
  query.connection = Object.create(connection, {
    query: {
      value(sql: string, ...rest: unknown[]) {
        const done = rest.at(-1) as (error: unknown, result?: ResultLike | ResultLike[]) => void
        const parameters = rest.length > 1 ? rest[0] as unknown[] : undefined
        answer(sql, parameters).then((result) => done(null, result), done)
      },
    },
    _invalid: { set: (value) => void (connection._invalid = value) },
  })
  try {
    return await run()
  } finally {
    query.connection = connection
  }
}

/** Runs a statement that gives back nothing but a column of ours: nobody sees that. */
export function withoutRows(query: Answered, run: () => Promise<unknown>): Promise<unknown> {
  const { connection } = query
  const answer = async (sql: string, parameters: unknown[] | undefined) => {
    // Several, where it comes with a search path.
    const result: ResultLike | ResultLike[] = await sendTo(connection, sql, parameters)
    for (const each of [result].flat()) Object.assign(each, { rows: [], fields: [] })
    return result
  }
  return answering(query, answer, run)
}
