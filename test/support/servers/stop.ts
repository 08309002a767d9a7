import process from 'node:process'
import { endAll } from './keeper.ts'

const numbers = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const

/**
 * Runs a program's main work and ends the process with the exit code it gives, or 1 with the message when it throws.
 * After Ctrl-C or SIGTERM nothing that was started is left: the promise it hands over is fulfilled, and everything is
 * ended whatever the work is doing. The same when npm, of whose scripts it is one, is gone.
 */
export async function withStop(work: (stopped: Promise<void>) => Promise<number>): Promise<never> {
  let signalled: keyof typeof numbers | undefined
  const stopped = new Promise<void>((resolve) => {
    const stop = (signal: keyof typeof numbers) => {
      signalled ??= signal
      resolve()
    }
    if (process.env.npm_lifecycle_event !== undefined) watchParent(() => stop('SIGTERM'))
    for (const signal of Object.keys(numbers) as (keyof typeof numbers)[]) {
      process.on(signal, () => stop(signal))
    }
  })
  const interrupted = stopped.then(() => -1)
  // Keeps the event loop of either runtime going while only a signal is awaited.
  const alive = setInterval(() => undefined, 60_000)
  const code = await Promise.race([work(stopped), interrupted]).catch((error) => {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    return 1
  })
  clearInterval(alive)
  await endAll()
  process.exit(signalled === undefined ? code : 128 + numbers[signalled])
}

// npm hands SIGTERM to the shell between, which ends without handing it on.
function watchParent(gone: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    gone()
  }, 250)
  timer.unref()
}
