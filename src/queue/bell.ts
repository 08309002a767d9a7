/**
 * A bell that ends a wait.
 * @module
 */

/** Wakes whoever waits, or the next who does. */
export interface Bell {
  ring(): void
  /** Resolves after the time, or when somebody rings, also one who did before. */
  wait(ms: number): Promise<void>
}

/** Makes a bell; it rings at the signal too. */
export function createBell(signal: AbortSignal): Bell {
  let rung = false
  let end = () => {}
  const ring = () => {
    rung = true
    end()
  }
  signal.addEventListener('abort', ring)
  return {
    ring,
    async wait(ms) {
      if (!rung && ms > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms)
          end = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      rung = false
    },
  }
}
