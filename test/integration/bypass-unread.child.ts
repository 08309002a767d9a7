/**
 * Sends raw statements where the parser cannot be loaded, and prints what was told: for the spec of a bundled application.
 * @module
 */
import process from 'node:process'
import { Sequelize } from 'sequelize'
import { installCapture } from '../../adapters/sequelize/capture.ts'
import { defineModels, definitionsOf } from './capture.world.ts'

// The parser is WebAssembly, given as bytes; what the runtime uses itself is compiled before.
const { instantiate } = WebAssembly
Object.assign(WebAssembly, {
  async instantiate(source: BufferSource | WebAssembly.Module, imports?: WebAssembly.Imports) {
    if (!(source instanceof WebAssembly.Module)) throw new Error('no such file')
    return await instantiate(source, imports)
  },
})

const [url, mode, ...statements] = process.argv.slice(2)
const sequelize = new Sequelize(url!, { logging: false, pool: { max: 1 } })
defineModels(sequelize)
const told: string[] = []
installCapture({
  sequelize,
  definitions: definitionsOf(sequelize),
  schema: 'elastic_umzug',
  wake: () => {},
  onWarning: (line) => void told.push(line),
  onBypass: mode as 'capture',
})
for (const sql of statements) {
  await sequelize.query(sql).catch((error) => told.push(`${error.code}: ${error.message}`))
}
await sequelize.close()
process.stdout.write(JSON.stringify(told))
