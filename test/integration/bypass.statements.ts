/**
 * Ways to write past the models.
 * @module
 */
import { QueryTypes, type Sequelize, type Transaction } from 'sequelize'
import { book } from './capture.world.ts'

/** Options of one call. */
export type Options = { transaction?: Transaction }
/** One call of the application. */
export type Operation = (sequelize: Sequelize, options: Options) => Promise<unknown>
/** A statement, and whether it is recorded row by row or as a whole table. */
export interface Case {
  how: 'rows' | 'whole' | 'nothing'
  run: Operation
}

const raw = (how: Case['how'], sql: string, options: object = {}): Case => ({
  how,
  run: (sequelize, given) => sequelize.query(sql, { ...options, ...given } as never),
})

/** Statements by name. */
export const statements: Record<string, Case> = {
  'INSERT': raw('rows', `INSERT INTO tags (label) VALUES ('x'), ('y')`),
  'INSERT … RETURNING': raw('rows', `INSERT INTO public.tags (label) VALUES ('x') RETURNING *, 1 AS one;`),
  'INSERT … SELECT': raw('rows', `WITH n AS (SELECT name FROM authors) INSERT INTO tags (label) SELECT name FROM n`),
  'INSERT … ON CONFLICT DO NOTHING': raw(
    'rows',
    `INSERT INTO authors AS a (name) VALUES ('author 1'), ('x') ON CONFLICT (name) DO NOTHING`,
  ),
  'INSERT … ON CONFLICT DO UPDATE': raw(
    'rows',
    `INSERT INTO authors AS a (name, rank) VALUES ('author 1', 5), ('x', 6) ON CONFLICT (name) DO UPDATE SET rank = a.rank + 7 RETURNING id`,
  ),
  'INSERT … ON CONFLICT that moves': raw(
    'whole',
    `INSERT INTO books (id, author_id) VALUES ('${book(1)}', 4) ON CONFLICT (id) DO UPDATE SET author_id = 4`,
  ),
  'UPDATE': raw('rows', `UPDATE books SET title = 'changed' WHERE author_id = 1 -- a comment`),
  'UPDATE with an alias': raw(
    'rows',
    `/* trace */ UPDATE "books" AS b SET title = 'é' || b.title WHERE b.pages < 3 RETURNING b.id, b.id, upper(b.title) AS "Größe"`,
  ),
  'UPDATE that only the server can read': raw(
    'whole',
    `SET max_stack_depth = '6MB'; UPDATE books SET title = title${" || 'x'".repeat(6_000)} WHERE author_id = 1`,
  ),
  'UPDATE … FROM': raw(
    'rows',
    `UPDATE books SET title = a.name FROM authors a WHERE a.id = books.author_id AND a.rank = 0`,
  ),
  'UPDATE of all': raw('rows', `UPDATE books SET author_id = 1`),
  'UPDATE that moves': raw(
    'rows',
    `UPDATE books b SET (author_id, pages) = (SELECT 4, 9) WHERE b.author_id IN (1, 2) OR b.pages = 6 -- all of them\nRETURNING id, author_id`,
  ),
  'UPDATE that moves, joined': raw(
    'whole',
    `UPDATE books SET author_id = 4 FROM authors a WHERE a.id = author_id AND a.id = 1`,
  ),
  'UPDATE that moves what a subquery picks': raw(
    'rows',
    `WITH n AS (SELECT id FROM books WHERE pages > 1 ORDER BY pages LIMIT 2) UPDATE books SET author_id = 4 WHERE id IN (SELECT id FROM n)`,
  ),
  'UPDATE of a key': raw('whole', `UPDATE authors SET id = 100 WHERE id = 1`),
  'UPDATE of what no document reads': raw('nothing', `UPDATE authors SET bio = 'changed'`),
  'UPDATE of no row': raw('nothing', `UPDATE books SET title = 'x' WHERE title = 'none'`),
  'UPDATE ONLY that moves': raw('whole', `UPDATE ONLY books SET author_id = 4 WHERE pages = 1`),
  'UPDATE through a view': raw('whole', `UPDATE few_books SET title = 'x' WHERE pages = 1`),
  'DELETE': raw('rows', `DELETE FROM reviews WHERE stars < 3`),
  'DELETE … RETURNING': raw('rows', `DELETE FROM book_tags t WHERE t.tag_id = 1 RETURNING t.*`),
  'DELETE … USING': raw('rows', `DELETE FROM reviews USING books b WHERE b.id = book_id AND b.pages = 1`),
  'DELETE that cascades': raw('rows', `DELETE FROM authors WHERE name = 'author 1' RETURNING name`),
  'DELETE that cascades, joined': raw(
    'whole',
    `DELETE FROM authors USING books b WHERE b.author_id = authors.id AND b.pages = 1`,
  ),
  'DELETE of an unread table, set default': raw('rows', `DELETE FROM shelves WHERE code = 'B'`),
  'MERGE': raw(
    'whole',
    `MERGE INTO tags t USING (VALUES (1, 'x'), (9, 'y')) v(id, label) ON t.id = v.id WHEN MATCHED THEN UPDATE SET label = v.label WHEN NOT MATCHED THEN INSERT (label) VALUES (v.label)`,
  ),
  'a writable CTE': raw(
    'whole',
    `WITH gone AS (DELETE FROM reviews WHERE stars = 1 RETURNING id) INSERT INTO tags (label) SELECT id::text FROM gone`,
  ),
  'several statements': raw(
    'whole',
    `UPDATE books SET title = 'x' WHERE pages = 1; INSERT INTO tags (label) VALUES ('x'); SELECT 1 AS one`,
  ),
  'EXPLAIN ANALYZE': raw(
    'whole',
    `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) UPDATE books SET title = 'x' WHERE pages = 1`,
  ),
  'EXPLAIN': raw('nothing', `EXPLAIN (COSTS OFF) UPDATE books SET title = 'x' WHERE pages = 1`),
  'TRUNCATE': raw('whole', `TRUNCATE reviews`),
  'TRUNCATE … CASCADE': raw('whole', `TRUNCATE TABLE authors CASCADE`),
  'a DO block': raw('whole', `DO $$ BEGIN UPDATE books SET title = 'x'; DELETE FROM reviews; END $$`),
  'bound values': raw('rows', `UPDATE books SET title = $1, pages = $3 WHERE pages = $2 AND title <> $1`, {
    bind: ["$1 :x ? ' \\", 2, 8],
  }),
  'bound values by name, moving': raw(
    'rows',
    `UPDATE books SET author_id = $author, title = $title WHERE pages = $pages AND title <> $title RETURNING id`,
    { bind: { title: 'x', author: 4, pages: 2 } },
  ),
  'replacements': raw('rows', `UPDATE books SET title = :title WHERE pages = :pages`, {
    replacements: { title: `o'$1; DELETE`, pages: 2 },
  }),
  'an unread table': raw('nothing', `INSERT INTO shelves VALUES ('D', 'd')`),
  'SELECT … FOR UPDATE': raw('nothing', `SELECT id FROM books WHERE pages = 1 FOR UPDATE; SELECT 2 AS two`),
  'type INSERT': raw('rows', `INSERT INTO tags (label) VALUES ('x') RETURNING id`, { type: QueryTypes.INSERT }),
  'type UPDATE': raw('rows', `UPDATE books SET title = 'x' WHERE pages < 3`, { type: QueryTypes.UPDATE }),
  'type UPDATE, RETURNING': raw('rows', `UPDATE books SET title = 'x' WHERE pages < 3 RETURNING pages`, {
    type: QueryTypes.UPDATE,
  }),
  'type BULKUPDATE': raw('rows', `UPDATE books SET author_id = 3 WHERE pages < 3`, { type: QueryTypes.BULKUPDATE }),
  'type DELETE': raw('rows', `DELETE FROM reviews WHERE stars < 3`, { type: QueryTypes.DELETE }),
  'type BULKDELETE': raw('rows', `DELETE FROM reviews WHERE stars < 3`, { type: QueryTypes.BULKDELETE }),
  'type SELECT': raw('rows', `UPDATE books SET title = 'x' WHERE pages < 3 RETURNING pages, title`, {
    type: QueryTypes.SELECT,
  }),
  'type SELECT, nothing returned': raw('rows', `UPDATE books SET title = 'x' WHERE pages < 3`, {
    type: QueryTypes.SELECT,
  }),
  'plain': raw('rows', `UPDATE books SET title = 'x' WHERE pages = 1 RETURNING pages`, { plain: true }),
  'nest': raw('rows', `UPDATE books SET title = 'x' WHERE pages = 1 RETURNING pages AS "book.pages"`, { nest: true }),
  'mapToModel': {
    how: 'rows',
    run: (sequelize, options) =>
      sequelize.query(`UPDATE books SET title = 'x' WHERE pages < 3 RETURNING id, author_id`, {
        model: sequelize.model('Book'),
        mapToModel: true,
        ...options,
      }),
  },
  'instance': {
    how: 'rows',
    run: async (sequelize, options) => {
      const instance = sequelize.model('Tag').build({ id: 1 })
      const result = await sequelize.query(`UPDATE tags SET label = 'x' WHERE id = 1 RETURNING id, label`, {
        instance,
        type: QueryTypes.UPDATE,
        ...options,
      } as never)
      return [result, instance]
    },
  },
  'fieldMap': raw('rows', `UPDATE books SET title = 'x' WHERE pages = 1 RETURNING author_id`, {
    type: QueryTypes.SELECT,
    fieldMap: { author_id: 'author' },
  }),
  'through the query interface': {
    how: 'rows',
    run: (sequelize, options) =>
      sequelize.getQueryInterface().sequelize.query(`UPDATE books SET title = 'x' WHERE pages < 3`, options),
  },
  'through a model': {
    how: 'rows',
    run: (sequelize, options) =>
      sequelize.model('Tag').sequelize!.query(
        { query: 'UPDATE tags SET label = ? WHERE id = ?', values: ['x', 1] },
        options,
      ),
  },
}
