// node --test examples/2-testing/suites/node.ts
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { type TestKit, testSearch } from 'elastic-umzug/testing'
import { addBook, findBooks } from '../app.ts'
import { Book, sequelize } from '../models.ts'
import config, { client } from '../umzug.config.ts'

describe('books', () => {
  let kit: TestKit
  before(async () => {
    await Book.sync()
    kit = await testSearch(config)
  })
  // The runner ends when nothing is open any more.
  after(async () => {
    await kit.stop()
    await sequelize.close()
    await client.close()
  })
  afterEach(async () => {
    await Book.destroy({ where: {} })
    await kit.clear()
  })

  it('are found by a word of the title', async () => {
    await addBook('The Sea, the Sea')
    await kit.settled()
    assert.deepEqual(await findBooks('sea'), ['The Sea, the Sea'])
  })

  it('of the test before are gone', async () => {
    assert.deepEqual(await findBooks('sea'), [])
  })
})
