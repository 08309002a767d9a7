/**
 * The demo's child processes: commands, and a server of the application.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Written } from '../visitors.ts'
import { output, show } from './print.ts'

/** The application's folder, in which commands run. */
export const folder: string = dirname(dirname(fileURLToPath(import.meta.url)))

const deno = 'Deno' in globalThis
const running = new Set<ChildProcess>()

let ended = false

/** Ends what still runs, with what it started itself; nothing is started any more. */
export async function endProcesses(): Promise<void> {
  ended = true
  await Promise.all([...running].map((child) => {
    const closed = once(child, 'close')
    killGroup(child)
    return closed
  }))
}

function killGroup({ pid }: ChildProcess): void {
  try {
    process.kill(-pid!, 'SIGKILL')
  } catch {
    // It ended by itself in this moment.
  }
}

function start(file: string, args: string[]): ChildProcess {
  if (ended) throw new Error('The demo ends.')
  const child = spawn(file, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'], detached: true })
  running.add(child)
  child.once('close', () => running.delete(child))
  return child
}

/** Runs one command of elastic-umzug in a process of its own and shows what it prints. Throws when it fails. */
export async function umzug(...args: string[]): Promise<string[]> {
  const [file, ...before] = deno
    ? [process.execPath, 'run', '-A', '--no-lock', '../../adapters/node/bin.ts']
    : ['npx', 'umzug']
  const shown = deno ? ['deno', ...before] : [file!, ...before]
  show(`$ ${[...shown, ...args].join(' ')}`)
  const child = start(file!, [...before, ...args])
  const closed = once(child, 'close')
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout! })) {
    lines.push(line)
    output(line)
  }
  const [code] = await closed
  if (code !== 0) throw new Error(`umzug ${args.join(' ')} ended with exit code ${code}`)
  return lines
}

/** A server of the application in a process of its own. */
export interface Server {
  /** Lets visitors write. */
  write(): void
  /** Ends their writes and tells what they did. */
  pause(): Promise<Written>
  stop(): Promise<void>
}

/** Starts a server with the code of the first release; ready when this returns. */
export async function startServer(): Promise<Server> {
  const loader = deno ? ['run', '-A', '--no-lock'] : ['--no-warnings', '--import', '../../register.mjs']
  const child = start(process.execPath, [...loader, 'server.ts'])
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the server ended')
    return value
  }
  await next()
  return {
    write: () => void child.stdin!.write('write\n'),
    async pause() {
      child.stdin!.write('pause\n')
      return JSON.parse(await next())
    },
    async stop() {
      const closed = once(child, 'close')
      child.stdin!.end()
      await closed
    },
  }
}
