import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import glob from 'fast-glob'

/** What each number stands for; the specs that show it have "case N:" in their names. */
const cases: Record<number, string> = {
  1: 'create: unchanged, forced, changed, invalid',
  2: 'prefixes never touch each other',
  3: 'foreign and hidden indexes survive',
  4: 'newer versions only',
  5: 'since the last update, whatever failed or was written meanwhile',
  6: 'workers: a failed part fails the whole, totals are right',
  7: 'a cluster that is too busy at first',
  8: 'two indexes leave two histories',
  9: 'wrong names and numbers',
  10: 'every refusal has a message and an exit code',
  11: 'a cluster that is down',
  12: 'activation is seen by a process that runs already',
  13: 'list shows every version, and what is lost',
  14: 'lost indexes are made again from the stored definitions',
  15: 'a killed run is visible and gone on with',
  16: 'the deployment story, from inside a migration',
  17: 'a reader never sees zero or partial results',
  18: 'five at once make one run',
  19: 'switched off, nothing is done',
}

describe('acceptance cases', () => {
  const names = glob.sync('test/**/*.test.ts').flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/\b(?:it|describe)\('case (\d+): /g)].map((each) => Number(each[1]))
  )

  for (const [number, what] of Object.entries(cases)) {
    it(`${number} is shown by a spec with its number: ${what}`, () => {
      expect(names).to.include(Number(number))
    })
  }
})
