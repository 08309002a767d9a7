/**
 * Further processes of the same command line, which take part in its work.
 * @module
 */
import type { Child, Runtime } from '../ports.ts'

/** Processes that take part. */
export interface Helpers {
  /** Starts so many, with more in their environment. */
  start(count: number, env: Readonly<Record<string, string>>): void
  /** Waits until they have ended, which they do with the action that they take part in. */
  ended(): Promise<void>
}

/** Starts processes that stop at the signal. One that ends in a fault is told of; the work goes on without it. */
export function startHelpers(
  runtime: Runtime,
  { print, signal }: { print(line: string): void; signal: AbortSignal },
): Helpers {
  const children: Child[] = []
  // In a terminal they get the signal themselves as well: a second one would end them at once.
  const stop = () => {
    if (!runtime.isTerminal) { for (const each of children) each.stop() }
  }
  signal.addEventListener('abort', stop)
  return {
    start(count, env) {
      for (let at = 0; at < count; at++) children.push(runtime.startAgain(runtime.argv, env))
    },
    async ended() {
      const codes = await Promise.all(children.map((each) => each.ended))
      signal.removeEventListener('abort', stop)
      if (signal.aborted) return
      for (const code of codes) if (code !== 0) print(`a process that took part ended with exit code ${code}`)
    },
  }
}
