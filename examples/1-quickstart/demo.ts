/**
 * The quickstart, run and told: `npm run demo` or `npm run demo:deno`.
 * @module
 */
import { main } from './demo/main.ts'

await main()
