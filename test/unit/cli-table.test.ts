import { expect } from 'chai'
import { age, table } from '../../src/cli/table.ts'

describe('cli table', () => {
  it('puts numbers to the right and text to the left', () => {
    expect(table(['name', 'rows'], [['books', 7], ['b', 1_200]])).to.deep.equal([
      'name   rows',
      'books     7',
      'b      1200',
    ])
  })

  it('prints what is not known as -, in a column of numbers too', () => {
    expect(table(['n', 'tag'], [[null, null], [10, 'x']])).to.deep.equal([' n  tag', ' -  -', '10  x'])
  })

  it('prints the heads alone when there are no rows', () => {
    expect(table(['a', 'bc'], [])).to.deep.equal(['a  bc'])
  })

  it('keeps a row on one line, whatever its texts hold', () => {
    expect(table(['command'], [['up\n--step 1\t\u001b[31mred']])).to.deep.equal(['command', 'up --step 1 [31mred'])
  })

  it('prints ages in the largest fitting unit', () => {
    expect([0, 999.4, 999.6, 1_000, 59_900, 59_999, 60_000, 5_400_000, 7_200_000, 200_000_000].map(age)).to.deep.equal([
      '0 ms',
      '999 ms',
      '1.0 s',
      '1.0 s',
      '59.9 s',
      '1 min',
      '1 min',
      '90 min',
      '2.0 h',
      '55.6 h',
    ])
  })
})
