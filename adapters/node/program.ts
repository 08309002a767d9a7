/**
 * Programs of the machine, run for what they write.
 * @module
 */
import { execFile } from 'node:child_process'

const longestMs = 5_000

/** Runs a program in a folder and gives what it writes; undefined where it fails, is missing or takes too long. */
export function runProgram(program: string, args: readonly string[], folder: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, [...args], { cwd: folder, timeout: longestMs }, (error, stdout) => {
      resolve(error ? undefined : stdout)
    }).once('error', () => resolve(undefined))
  })
}
