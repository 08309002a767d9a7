// mocha --exit examples/2-testing/suites/mocha.ts
import { expect } from 'chai'
import { type TestKit, testSearch } from 'elastic-umzug/testing'
import { addBook, findBooks } from '../app.ts'
import { Book } from '../models.ts'
import config from '../umzug.config.ts'

describe('books', function () {
  // On a busy machine the indexes are not there within mocha's two seconds.
  this.timeout(20_000)
  let kit: TestKit
  before(async () => {
    await Book.sync()
    kit = await testSearch(config)
  })
  after(() => kit.stop())
  afterEach(async () => {
    await Book.destroy({ where: {} })
    await kit.clear()
  })

  it('are found by a word of the title', async () => {
    await addBook('The Sea, the Sea')
    await kit.settled()
    expect(await findBooks('sea')).to.deep.equal(['The Sea, the Sea'])
  })

  it('of the test before are gone', async () => {
    expect(await findBooks('sea')).to.deep.equal([])
  })
})
