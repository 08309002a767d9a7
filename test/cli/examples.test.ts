/**
 * The commands of the examples' README files, run as they are written.
 * @module
 */
import { expect } from 'chai'
import { readdir, readFile } from 'node:fs/promises'
import { run } from '../support/shell.ts'

const runsOnDeno = 'Deno' in globalThis

/** Lines that an example's output must have, by its folder. */
const keyLines: Record<string, RegExp[]> = {
  '1-quickstart': [
    /up: 3 migrations applied, 1 index changed/,
    /up: 0 migrations applied, 0 indexes changed/,
    /2001: A Space Odyssey \(1968\), by Stanley Kubrick/,
    /all 23 movies show the new name: searchable \d+ ms after the commit/,
    /movies-2: active/,
    /polls without an error/,
    /movies-1: compared 3,201, different 0[\s\S]*movies-2: compared 3,201, different 0[\s\S]*movies-1: compared 3,201, different 0/,
    /es:activate/,
    /The database and the indexes of this demo are removed again/,
  ],
  '2-testing': runsOnDeno
    ? [/Deno\.test: passed/]
    : [/mocha: passed/, /node:test: passed/, /jest and vitest .*: passed/],
}

describe('examples', () => {
  it('each has key lines here', async () => {
    const folders = (await readdir('examples', { withFileTypes: true })).filter((each) => each.isDirectory())
    expect(folders.map(({ name }) => name)).to.have.members(Object.keys(keyLines))
  })

  for (const [folder, lines] of Object.entries(keyLines)) {
    it(`${folder}: the README's command does what it says`, async function () {
      this.timeout(300_000)
      const printed = await run('sh', ['-c', await commandOf(folder)])
      for (const line of lines) expect(printed).to.match(line)
    })
  }
})

// A README has one shell block for each runtime; each suite runs its own.
async function commandOf(folder: string): Promise<string> {
  const readme = await readFile(`examples/${folder}/README.md`, 'utf8')
  const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, command]) => command!)
  const own = blocks.filter((command) => command.includes(':deno') === runsOnDeno)
  expect(own, `shell blocks of ${folder}`).to.have.length(1)
  return own[0]!
}
