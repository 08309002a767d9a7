/**
 * Runs the story in a database and under an index prefix of its own, and removes both however it ends.
 * @module
 */
import process from 'node:process'
import { endProcesses } from './processes.ts'
import { openPlace } from './place.ts'
import { output, title } from './print.ts'

/** Runs the demo. The exit code is 0 only when every step did what it says. */
export async function main(): Promise<void> {
  const startedAt = Date.now()
  const place = await openPlace()
  const code = await Promise.race([tell(), stopped()])
  await endProcesses()
  await place.close()
  output(`everything this demo made is removed again, after ${Math.round((Date.now() - startedAt) / 1000)} s`)
  process.exit(code)
}

async function tell(): Promise<number> {
  try {
    // The application reads its environment when it is loaded, as any does: not before there is one.
    const { story } = await import('./story.ts')
    await story()
    return 0
  } catch (error) {
    title('The demo failed')
    console.error(error)
    return 1
  }
}

function stopped(): Promise<number> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve(130))
    process.once('SIGTERM', () => resolve(143))
  })
}
