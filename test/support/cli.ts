/**
 * Runs the command line as a process, on the runtime that the specs run on.
 * @module
 */
import { spawn } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { endGroup, forgetGroup, keepGroup } from './servers/keeper.ts'

/** How a command ended. */
export interface Ended {
  /** Exit code; null when a signal ended it. */
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** A command that runs. */
export interface Running {
  readonly pid: number
  /** What it wrote so far. */
  readonly stdout: string
  readonly stderr: string
  readonly ended: Promise<Ended>
  /** Sends a signal to its process only, as Ctrl-C or an orchestrator does. */
  kill(signal: NodeJS.Signals): void
}

/** Where a command runs. */
export interface CliOptions {
  cwd?: string
  /** Added to this process's environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>
  /** Another program than the command line, by its path. */
  program?: string
}

const root = new URL('../../', import.meta.url)
const path = (name: string) => fileURLToPath(new URL(name, root))

// In another working directory neither runtime would find the project's own settings.
function launch(program: string): string[] {
  if ('Deno' in globalThis) return ['run', '-A', '--no-lock', '--config', path('deno.json'), program]
  return ['--no-warnings', '--enable-source-maps', '--import', new URL('register.mjs', root).href, program]
}

/** Starts `umzug` with these arguments, in a process group of its own that ends with this process. */
export function startCli(args: readonly string[], options: CliOptions = {}): Running {
  const program = options.program ?? path('adapters/node/bin.ts')
  const child = spawn(process.execPath, [...launch(program), ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const pid = child.pid ?? 0
  keepGroup(pid, 'SIGKILL')
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => output[name] += text)
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      forgetGroup(pid)
      resolve({ code, signal, ...output })
    })
  })
  return {
    pid,
    ended,
    get stdout() {
      return output.stdout
    },
    get stderr() {
      return output.stderr
    },
    // Deno's own `kill` of a child says afterwards that the signal ended it, whatever its exit code was.
    kill: (signal) => void (child.exitCode === null && child.signalCode === null && process.kill(pid, signal)),
  }
}

/** Runs `umzug` with these arguments to its end. */
export async function spawnCli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  return await startCli(args, options).ended
}

/** Ends a started command and everything it started, at once (`kill -9`), and waits until they are gone. */
export async function killTree(running: Running): Promise<void> {
  await endGroup(running.pid, 'SIGKILL')
  await running.ended
}
