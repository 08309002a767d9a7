/**
 * The release of a new definition, while an old server writes and a reader reads.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ElasticUmzug } from 'elastic-umzug'
import { count, output, say, show } from './print.ts'
import { folder, type Server, umzug } from './processes.ts'
import { client } from './queries.ts'
import { type Seen, startReader } from './reader.ts'

/** How long servers of both releases run side by side after the switch, in milliseconds. */
const sideBySideMs = 2_000

/** Shows the lines in which the two configs differ. */
export async function showDifference(): Promise<void> {
  const [before, after] = await Promise.all(['umzug.config.ts', 'umzug.config.next.ts'].map(linesOf))
  const gone = before!.filter((line) => !after!.includes(line)).map((line) => `- ${line.trim()}`)
  const come = after!.filter((line) => !before!.includes(line)).map((line) => `+ ${line.trim()}`)
  show([...gone, ...come].join('\n'))
}

async function linesOf(file: string): Promise<string[]> {
  return (await readFile(join(folder, file), 'utf8')).split('\n')
}

/** Builds and activates the next version, then starts the new server beside the old one. Throws when a reader missed a document. */
export async function rollOut(oldServer: Server, newServer: ElasticUmzug, alias: string): Promise<void> {
  const { count: before } = await client.count({ index: alias })
  const reader = startReader(client, alias)
  oldServer.write()
  await umzug('up', '--config', 'umzug.config.next.ts')
  say('The first server of the next release starts beside the old one; each keeps the version of its own code')
  say('up to date, whoever writes.')
  await newServer.start()
  await sleep(sideBySideMs)
  const { rows, seconds } = await oldServer.pause()
  output(
    `writers: ${count(rows)} rows in ${seconds.toFixed(1)} s, ${count(Math.round(rows / seconds))} rows per second`,
  )
  await newServer.settled()
  report(await reader.stop(), before)
}

function report({ polls, fewest, answers }: Seen, before: number): void {
  const by = [...answers].map(([physical, answered]) => `${count(answered)} by ${physical}`).join(', ')
  output(`reader:  ${count(polls)} polls without an error (${by})`)
  output(`         fewest documents seen: ${count(fewest)}, at the start there were ${count(before)}`)
  if (fewest < before) throw new Error('a reader saw fewer documents than there were at the start')
}
