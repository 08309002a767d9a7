/**
 * Questions to whoever sits at the terminal.
 * @module
 */
import process from 'node:process'
import { createInterface } from 'node:readline/promises'

/** Asks on standard error; undefined where that or standard input is no terminal, and where the signal or the input ends. */
export async function ask(question: string, signal?: AbortSignal): Promise<string | undefined> {
  const { stdin: input, stderr: output } = process
  if (!input.isTTY || !output.isTTY) return undefined
  // Not as a terminal: that would take Ctrl-C away from the signal handlers.
  const lines = createInterface({ input, output, terminal: false })
  const closed = new Promise<undefined>((resolve) => lines.once('close', () => resolve(undefined)))
  const options = signal ? { signal } : {}
  try {
    return await Promise.race([lines.question(question, options).catch(() => undefined), closed])
  } finally {
    lines.close()
  }
}
