/**
 * The runtime that this process runs on.
 * @module
 */
import type { Runtime } from '../src/ports.ts'
import { denoRuntime } from './deno/runtime.ts'
import { nodeRuntime } from './node/runtime.ts'

/** Node or Deno. */
export function currentRuntime(): Runtime {
  return 'Deno' in globalThis ? denoRuntime() : nodeRuntime()
}
