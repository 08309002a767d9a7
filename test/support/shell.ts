/**
 * Runs other programs for specs.
 * @module
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Where a program runs. */
export interface ShellOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
}

/** Runs a program to its end and gives what it printed. Throws with all of that when its exit code is not 0. */
export async function run(file: string, args: readonly string[], options: ShellOptions = {}): Promise<string> {
  try {
    const { stdout } = await execute(file, args, { ...options, maxBuffer: 10_000_000 })
    return stdout
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string }
    throw new Error([message.split('\n')[0], stdout, stderr].join('\n'), { cause: error })
  }
}
