// deno test -A examples/2-testing/suites/deno.ts
import assert from 'node:assert/strict'
import { testSearch } from 'elastic-umzug/testing'
import { addBook, findBooks } from '../app.ts'
import { Book, sequelize } from '../models.ts'
import config, { client } from '../umzug.config.ts'

Deno.test('books', async (t) => {
  await Book.sync()
  const kit = await testSearch(config)
  try {
    await t.step('are found by a word of the title', async () => {
      await addBook('The Sea, the Sea')
      await kit.settled()
      assert.deepEqual(await findBooks('sea'), ['The Sea, the Sea'])
    })
    await Book.destroy({ where: {} })
    await kit.clear()
    await t.step('of the step before are gone', async () => {
      assert.deepEqual(await findBooks('sea'), [])
    })
  } finally {
    await kit.stop()
    await sequelize.close()
    await client.close()
  }
})
