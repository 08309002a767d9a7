import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until `check` gives something true, and gives that.
 * Throws after `timeoutMs` (default 10,000), with what `check` threw last, if it did.
 */
export async function waitFor<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 25 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<T> {
  let last: unknown
  for (const until = Date.now() + timeoutMs;;) {
    try {
      const value = await check()
      if (value) return value
    } catch (error) {
      last = error
    }
    if (Date.now() > until) throw new Error(`Waited ${timeoutMs} ms in vain for: ${check}`, { cause: last })
    await sleep(everyMs)
  }
}
