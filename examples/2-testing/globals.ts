/**
 * What `suites/jest.js` uses of the globals of jest and vitest, so that this example can run it without either.
 * @module
 */
import assert from 'node:assert/strict'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

type Work = () => unknown

const hooks: Record<'beforeAll' | 'afterAll' | 'afterEach', Work[]> = { beforeAll: [], afterAll: [], afterEach: [] }
const tests: { name: string; work: Work }[] = []
let suite = ''

Object.assign(globalThis, {
  describe(name: string, define: Work) {
    suite = name
    define()
  },
  it: (name: string, work: Work) => void tests.push({ name: `${suite} ${name}`, work }),
  beforeAll: (work: Work) => void hooks.beforeAll.push(work),
  afterAll: (work: Work) => void hooks.afterAll.push(work),
  afterEach: (work: Work) => void hooks.afterEach.push(work),
  expect: (value: unknown) => ({ toEqual: (other: unknown) => assert.deepEqual(value, other) }),
})

await import(pathToFileURL(process.argv[2]!).href)
for (const each of hooks.beforeAll) await each()
try {
  for (const { name, work } of tests) {
    await work()
    console.log(`passed: ${name}`)
    for (const each of hooks.afterEach) await each()
  }
} finally {
  for (const each of hooks.afterAll) await each()
}
