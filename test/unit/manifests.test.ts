import { expect } from 'chai'
import { existsSync, readFileSync } from 'node:fs'
import { errorCodes } from '../../src/errors.ts'
import { version } from '../../src/version.ts'

interface Manifest {
  version: string
  exports: Record<string, string | { types: string; default: string }>
  bin: Record<string, string>
}

const npm = manifest('package.json')
const deno = manifest('deno.json')

describe('package.json and deno.json', () => {
  it('have the same version', () => {
    expect(deno.version).to.equal(npm.version)
    expect(version).to.equal(npm.version)
  })

  it('offer the same entries', () => {
    const entries = Object.keys(npm.exports).filter((name) => name !== './package.json')
    expect(Object.keys(deno.exports)).to.have.members(entries)
  })

  it('build each entry from the file that Deno reads', () => {
    for (const [name, source] of Object.entries(deno.exports)) {
      const built = String(source).replace(/^\.\//, './dist/').replace(/\.ts$/, '')
      expect(npm.exports[name], name).to.deep.equal({ types: `${built}.d.ts`, default: `${built}.js` })
      expect(existsSync(String(source)), String(source)).to.equal(true)
    }
  })

  it('name programs that exist', () => {
    const sources = Object.values(npm.bin).map((path) => path.replace(/^dist\//, '').replace(/\.js$/, '.ts'))
    expect(sources.filter((path) => !existsSync(path))).to.deep.equal([])
  })
})

describe('the table of errors in the README', () => {
  it('names every code once', () => {
    const rows = readFileSync('README.md', 'utf8').split('\n').filter((line) => line.startsWith('|'))
    const listed = rows.flatMap((row) => /^\|[^|]*`([A-Z][A-Z_]+)`/.exec(row)?.[1] ?? [])
    expect(listed.sort()).to.deep.equal(Object.keys(errorCodes).sort())
  })
})

function manifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8'))
}
