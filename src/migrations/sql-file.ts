/**
 * Runs `.sql` migrations.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { alterOn, type Remaking } from './altering.ts'

/**
 * Sends the text exactly as written, in one query or, where what is generated for its tables has to be made anew, as far as its COMMIT, without bound values, on a connection of its own: settings and
 * transactions of the file end with it. Several statements without BEGIN are one transaction; one statement alone is in none, so that
 * CREATE INDEX CONCURRENTLY works. A crash rolls back what the file did not commit.
 * Throws PostgreSQL's error, or `MIGRATION_INVALID` when the file leaves a transaction open.
 */
export async function runSqlFile(remaking: Remaking, path: string, text: string): Promise<void> {
  const connection = await remaking.db.connect()
  try {
    await alterOn(connection, text, remaking).catch((error) => {
      // As Sequelize does: what is said of the error gives the line.
      throw Object.defineProperty(Object(error) as object, 'sql', { value: text })
    })
    const [row] = await connection.query<{ open: boolean }>(
      'SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS open',
    )
    if (row?.open) {
      throw new ElasticUmzugError('MIGRATION_INVALID', `${path} leaves its transaction open; it was rolled back.`, {
        next: 'add COMMIT at the end of the file, then npx umzug up',
      })
    }
  } finally {
    await connection.close()
  }
}
