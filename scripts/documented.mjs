// Every export of the public entries, and every member of it, has a comment; types that they name are exported too.
// Types of peers stand in their own packages: naming them is no fault.
import { spawnSync } from 'node:child_process'

const entries = ['src/index.ts', 'adapters/sequelize/index.ts', 'adapters/postgres/index.ts', 'src/testing/index.ts']
const peers = ['Attributes', 'FindOptions', 'Model', 'ModelStatic', 'QueryInterface', 'Sequelize', 'Umzug', 'UmzugCLI']

const { stderr } = spawnSync('npx', ['deno', 'doc', '--lint', ...entries], {
  encoding: 'utf8',
  env: { ...process.env, NO_COLOR: '1' },
})
const faults = stderr.split(/^(?=error\[)/m).filter((each) => each.startsWith('error[')).filter((each) =>
  !peers.includes(/references private type '(\w+)'/.exec(each)?.[1])
)
if (faults.length > 0 || !/Checked|documentation lint errors/.test(stderr)) {
  console.error(faults.join('') || stderr)
  console.error(`${faults.length} undocumented or unexported`)
  process.exitCode = 1
}
