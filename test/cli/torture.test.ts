/**
 * A short torture with a fixed seed; `npm run torture -- --seed N --minutes M` runs others, of any length. TORTURE_REPORT
 * names a file that takes the whole history of what went wrong.
 */
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { expect } from 'chai'
import { whyNoOwn } from '../support/world.ts'
import { mutated } from '../torture/mutations.ts'
import { mutations } from '../torture/patches.ts'
import { torture } from '../torture/run.ts'

const seed = 1
const roundMs = 18_000

describe('torture', function () {
  this.timeout(300_000)

  it(`loses nothing, with seed ${seed}: requests are punctual while deletes are forgotten, then late`, async () => {
    const own = await whyNoOwn('postgres') === undefined ? ['postgres'] as const : []
    const weathers = ['punctual', 'late'] as const
    const options = { seed, lengthMs: 2 * roundMs, roundMs, weathers, capture: 'hooks', own, print() {} } as const
    const { faults, report, rounds, writes, strikes } = await torture(options)
    if (faults.length > 0) await tell([...faults, '', ...report])
    expect(faults, report.slice(0, 3).join('\n')).to.deep.equal([])
    expect(rounds).to.equal(2)
    expect(writes).to.be.greaterThan(50)
    expect(strikes).to.include.keys('kill', 'stop')
  })

  for (const [name, mutation] of Object.entries(mutations)) {
    it(`can still be shown what it sees: ${name}`, () => mutated(mutation))
  }
})

async function tell(lines: string[]): Promise<void> {
  const file = process.env.TORTURE_REPORT
  if (file !== undefined) await writeFile(file, `${lines.join('\n')}\n`)
  else for (const line of lines.slice(0, 400)) process.stdout.write(`${line.slice(0, 500)}\n`)
}
