/**
 * Runs the story in a place of its own, which it removes however the story ends.
 * @module
 */
import process from 'node:process'
import { openPlace, type Place } from './place.ts'
import { say, title } from './print.ts'
import { endProcesses } from './processes.ts'

/** Runs the demo. The exit code is 0 only when every step did what it says. */
export async function main(): Promise<never> {
  const code = await Promise.race([tell(), untilStopped()])
  await endProcesses()
  await close()
  process.exit(code)
}

let place: Place | undefined

async function tell(): Promise<number> {
  const startedAt = Date.now()
  try {
    place = await openPlace()
    // The application reads its environment when it is loaded, as any does: not before there is one.
    const { story } = await import('./story.ts')
    await story()
    title(`Done in ${Math.round((Date.now() - startedAt) / 1_000)} seconds`)
    return 0
  } catch (error) {
    title('The demo failed')
    console.error(error)
    return 1
  }
}

async function close(): Promise<void> {
  if (!place) return
  await place.close()
  say('\nThe database and the indexes of this demo are removed again.')
}

function untilStopped(): Promise<number> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve(130))
    process.once('SIGTERM', () => resolve(143))
  })
}
