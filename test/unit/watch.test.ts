import { expect } from 'chai'
import { joinWatch, type Watch } from '../../adapters/sequelize/capture/watch.ts'

describe('what is watched', () => {
  it('keeps the table of the model where a registered version names it: a schema may have a dot in its name', () => {
    const table = { schema: 'shop.eu', name: 'books' }
    const own: Watch = new Map([['shop.eu.books', { table, capture: ['id'], columns: new Set(['id']) }]])
    const joined = joinWatch(own, [{ table: 'shop.eu.books', columns: ['title'], capture: ['author_id'] }])
    expect([...joined.keys()]).to.deep.equal(['shop.eu.books'])
    expect(joined.get('shop.eu.books')!.table).to.deep.equal(table)
    expect(joined.get('shop.eu.books')!.capture).to.deep.equal(['id', 'author_id'])
  })
})
