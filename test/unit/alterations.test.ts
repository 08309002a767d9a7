import { expect } from 'chai'
import { alterationOf } from '../../src/migrations/alterations.ts'

describe('the reading of SQL for what it alters', () => {
  const placeOf = async (sql: string) => (await alterationOf(sql))?.place

  const around = [
    'ALTER TABLE books RENAME COLUMN title TO name',
    'alter table only public.books drop column if exists title cascade',
    'ALTER TABLE books RENAME TO volumes;',
    'ALTER TABLE books SET SCHEMA library',
    'ALTER SCHEMA library RENAME TO shelf',
    'ALTER TABLE books ALTER COLUMN id TYPE bigint',
    'DROP TABLE books',
    'DROP TYPE mood CASCADE',
    'DROP SCHEMA library CASCADE',
    '/* first */ -- then\nDROP TABLE books',
    'UPDATE books SET a = 1; ALTER TABLE books DROP COLUMN b; SELECT 1',
    `DO $$ BEGIN EXECUTE 'ALTER TABLE books DROP COLUMN a'; END $$`,
  ]
  for (const sql of around) {
    it(`runs in one transaction with what is made anew: ${sql}`, async () => {
      expect(await placeOf(sql)).to.equal('around')
    })
  }

  const after = [
    'ALTER TABLE books DETACH PARTITION old CONCURRENTLY',
    'CALL rename_everything()',
    'DO $$ BEGIN ALTER TABLE books DROP COLUMN a; COMMIT; END $$',
    'BEGIN; ALTER TABLE books DROP COLUMN a; COMMIT; DROP TABLE b',
    'ALTER TABLE books RENAME COLUMN a TO :name',
    'ALTER TABLE books RENAME COLUMN a TO ?',
  ]
  for (const sql of after) {
    it(`runs as it is, and what is made anew comes after: ${sql}`, async () => {
      expect(await placeOf(sql)).to.equal('after')
    })
  }

  const nothing = [
    'SELECT 1',
    '',
    `SELECT 'ALTER TABLE books DROP COLUMN a'`,
    `INSERT INTO notes (text) VALUES ('DROP TABLE books; -- '), (E'it\\'s; DROP TABLE x')`,
    'SELECT 1 -- ; DROP TABLE books',
    'SELECT 1 /* ; /* nested */ DROP TABLE books */',
    'SELECT $a$ ; DROP TABLE books; $a$',
    'UPDATE "drop" SET "alter" = 1',
    'DROP INDEX CONCURRENTLY books_title',
    'ALTER SYSTEM SET work_mem = 1',
    'DROP DATABASE old',
    'INSERT INTO books (id) VALUES (1) ON CONFLICT DO NOTHING',
  ]
  for (const sql of nothing) {
    it(`finds nothing in: ${sql}`, async () => {
      expect(await alterationOf(sql)).to.equal(undefined)
    })
  }

  it('finds the COMMIT by which a text ends its own transaction, whatever stands before', async () => {
    const first = `BEGIN; UPDATE books SET title = 'żółć; COMMIT'; ALTER TABLE books DROP COLUMN a;`
    const found = await alterationOf(`${first} COMMIT;`)
    expect(`${first} COMMIT;`.slice(found?.commitAt).trim()).to.equal('COMMIT;')
    expect((await alterationOf(`${first} COMMIT; SELECT 1`))?.commitAt).to.equal(undefined)
    expect((await alterationOf(`${first} ROLLBACK`))?.commitAt).to.equal(undefined)
  })
})
