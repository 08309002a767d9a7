import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { spawnCli } from '../support/cli.ts'

describe('the README', () => {
  it('shows the help that the command line gives', async () => {
    const { stdout } = await spawnCli(['--help'])
    // deno-lint-ignore no-control-regex -- the parser prints its last line in bold
    const help = stdout.replace(/\x1b\[\d+m/g, '').split('\n').map((line) => line.trimEnd()).join('\n').trim()
    const shown = readFileSync('README.md', 'utf8').split('```text\n').map((each) => each.split('\n```')[0])
    expect(shown).to.include(help)
  })
})
