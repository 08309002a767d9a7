// npx jest, or npx vitest with `test: { globals: true }`: both have these globals.
import { testSearch } from 'elastic-umzug/testing'
import { addBook, findBooks } from '../app.ts'
import { Book, sequelize } from '../models.ts'
import config, { client } from '../umzug.config.ts'

describe('books', () => {
  let kit
  beforeAll(async () => {
    await Book.sync()
    kit = await testSearch(config)
  }, 20_000)
  afterAll(async () => {
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
    expect(await findBooks('sea')).toEqual(['The Sea, the Sea'])
  })

  it('of the test before are gone', async () => {
    expect(await findBooks('sea')).toEqual([])
  })
})
