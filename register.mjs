import { register } from 'node:module'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

// The loader reads its settings when it is registered, and must find this project's in any working directory;
// what is loaded afterwards, an application's own ts-node say, must not.
process.env.TS_NODE_PROJECT = fileURLToPath(new URL('tsconfig.json', import.meta.url))
register('./test/support/typescript.mjs', import.meta.url)
delete process.env.TS_NODE_PROJECT
