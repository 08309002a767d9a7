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

const roundMs = 20_000

describe('torture', function () {
  this.timeout(300_000)

  // One with punctual requests and forgotten deletes, one with late requests.
  for (const [seed, weather] of [[1, 'punctual'], [2, 'late']] as const) {
    it(`loses nothing, with seed ${seed} and ${weather} requests`, async () => {
      const own = await whyNoOwn('postgres') === undefined ? ['postgres'] as const : []
      const options = { seed, lengthMs: roundMs, roundMs, weather, capture: 'hooks', own, print() {} } as const
      const { faults, report, writes, strikes } = await torture(options)
      if (faults.length > 0) await tell([...faults, '', ...report])
      expect(faults, report.slice(0, 3).join('\n')).to.deep.equal([])
      expect(writes).to.be.greaterThan(50)
      expect(Object.keys(strikes)).to.include.members(['kill', 'stop'])
    })
  }

  for (const [name, mutation] of Object.entries(mutations)) {
    it(`can still be shown what it sees: ${name}`, () => mutated(mutation))
  }
})

async function tell(lines: string[]): Promise<void> {
  const file = process.env.TORTURE_REPORT
  if (file !== undefined) await writeFile(file, `${lines.join('\n')}\n`)
  else for (const line of lines.slice(0, 400)) process.stdout.write(`${line.slice(0, 500)}\n`)
}
