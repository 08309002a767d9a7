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
  const code = await Promise.race([tell().catch(fail), untilStopped()])
  await endProcesses()
  await close()
  process.exit(code)
}

let place: Place | undefined

async function tell(): Promise<number> {
  const startedAt = Date.now()
  place = await openPlace()
  introduce(place)
  // The application reads its environment when it is loaded, as any does: not before there is one.
  const { story } = await import('./story.ts')
  await story()
  title(`Done in ${Math.round((Date.now() - startedAt) / 1_000)} seconds`)
  return 0
}

function introduce({ prefix }: Place): void {
  title('elastic-umzug: 3,201 movies, from Sequelize to search')
  say('An ordinary Sequelize application, and the one file that makes it searchable. Everything below really runs,')
  say(`on a database of its own, with "${prefix}" before the name of every index; both are removed at the end.`)
}

// After a signal it is no failure that what was under way came to nothing.
function fail(error: unknown): number {
  if (!signalled) {
    title('The demo failed')
    console.error(error)
  }
  return 1
}

async function close(): Promise<void> {
  if (!place) return
  await place.close()
  say('\nThe database and the indexes of this demo are removed again.')
}

const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const
let signalled = false

function untilStopped(): Promise<number> {
  return new Promise((resolve) => {
    for (const [signal, code] of Object.entries(exitCodes)) {
      process.on(signal, () => {
        signalled = true
        resolve(code)
      })
    }
  })
}
