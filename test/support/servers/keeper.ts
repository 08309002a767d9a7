/**
 * Starts processes that never outlive this one. A small shell script holds a pipe to this process and, when it closes
 * (normal end, Ctrl-C, `kill -9`), ends the process groups and removes the folders it was told about.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'

/** How to start a process in a group of its own. */
export interface Spawn {
  command: string
  args: readonly string[]
  cwd?: string
  env?: Record<string, string | undefined>
  /** File that takes its output. */
  log: string
  /** Signal that ends it when this process is gone. Default SIGKILL. */
  signal?: 'SIGQUIT' | 'SIGKILL'
  /** User to run as; undefined: this one. */
  user?: number
}

/** A process group. */
export interface Group {
  readonly pid: number
  /** True while its first process runs. */
  running(): boolean
  /** Exit code of its first process; null while it runs, and when a signal ended it. */
  exitCode(): number | null
  /** Sends a signal to all of it and waits until it is gone; after ten seconds with SIGKILL. */
  end(signal: NodeJS.Signals): Promise<void>
}

let keeper: ChildProcess | undefined

function tell(line: string): void {
  if (keeper === undefined) {
    // As text: a shell reads a file bit by bit, and a checkout may change it under a running one.
    const script = readFileSync(new URL('keeper.sh', import.meta.url), 'utf8')
    keeper = spawn('sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    keeper.unref()
    ;(keeper.stdin as unknown as { unref?: () => void }).unref?.()
  }
  keeper.stdin?.write(`${line}\n`)
}

/** Ends a process group with this signal when this process is gone. */
export function keepGroup(pid: number, signal: 'SIGQUIT' | 'SIGKILL'): void {
  tell(`group ${pid} ${signal.slice(3)}`)
}

/** Takes `keepGroup` back: the group is gone, and its number may become somebody else's. */
export function forgetGroup(pid: number): void {
  tell(`ended ${pid}`)
}

/** Removes the containers of a compose project when this process is gone. */
export function keepProject(name: string): void {
  tell(`project ${name}`)
}

const atEnd = new Set<() => Promise<void>>()

/** Does this before everything is ended, for at most ten seconds; gives the function that takes it back. */
export function beforeEnd(work: () => Promise<void>): () => void {
  atEnd.add(work)
  return () => void atEnd.delete(work)
}

/** Ends everything this process started, removes its folders, and waits for that. */
export async function endAll(): Promise<void> {
  const works = Promise.allSettled([...atEnd].map((work) => work()))
  atEnd.clear()
  await Promise.race([works, sleep(10_000, undefined, { ref: false })])
  const closing = keeper
  keeper = undefined
  if (closing === undefined) return
  const ended = new Promise((resolve) => closing.once('exit', resolve))
  closing.ref()
  closing.stdin?.end()
  await ended
}

/** User for servers that refuse to run as root: `nobody`; undefined when this process is not root. */
export const serverUser = process.getuid?.() === 0 ? 65534 : undefined

/** Removes a folder when this process ends. */
export function removeAtEnd(folder: string): void {
  tell(`folder ${folder}`)
}

/** Makes a temporary folder that is removed when this process ends; it belongs to the server's user. */
export async function temporaryFolder(name: string): Promise<string> {
  const folder = join(tmpdir(), `elastic-umzug-${name}-${randomBytes(4).toString('hex')}`)
  // Told before it is there: a kill in between leaves nothing.
  removeAtEnd(folder)
  await mkdir(folder, { mode: 0o700 })
  if (serverUser !== undefined) await chown(folder, serverUser, serverUser)
  return folder
}

/** Starts a process in a group of its own. */
export function startGroup(options: Spawn): Group {
  const log = openSync(options.log, 'a')
  const child = spawn(options.command, [...options.args], {
    cwd: options.cwd,
    env: options.env as NodeJS.ProcessEnv,
    detached: true,
    stdio: ['ignore', log, log],
    ...(options.user === undefined ? {} : { uid: options.user, gid: options.user }),
  })
  closeSync(log)
  let ended = false
  let exitCode: number | null = null
  child.once('exit', (code) => {
    ended = true
    exitCode = code
  })
  child.once('error', () => ended = true)
  child.unref()
  const pid = child.pid
  if (pid === undefined) throw new Error(`${options.command} could not be started`)
  keepGroup(pid, options.signal ?? 'SIGKILL')
  return {
    pid,
    running: () => !ended,
    exitCode: () => exitCode,
    end: (signal) => endGroup(pid, signal),
  }
}

/** Sends a signal to a process group and waits until it is gone; after ten seconds with SIGKILL. */
export async function endGroup(pid: number, signal: NodeJS.Signals): Promise<void> {
  send(pid, signal)
  for (let waited = 0; waited < 10_000 && send(pid, 0); waited += 50) await sleep(50)
  send(pid, 'SIGKILL')
  forgetGroup(pid)
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}

/** Runs a program to its end, in a group of its own. Throws with its last output when it fails. */
export async function runGroup(options: Spawn): Promise<void> {
  const group = startGroup(options)
  while (group.running()) await sleep(20)
  forgetGroup(group.pid)
  if (group.exitCode() !== 0) throw new Error(`${options.command} failed:\n${await tailOf(options.log)}`)
}

/** Waits until `check` gives true; throws with the end of the log when the process ended or the time is over. */
export async function untilUp(
  name: string,
  group: Group,
  log: string,
  timeoutMs: number,
  check: () => Promise<boolean>,
): Promise<void> {
  for (const until = Date.now() + timeoutMs; Date.now() < until;) {
    if (!group.running()) break
    if (await check().catch(() => false)) return
    await sleep(100)
  }
  throw new Error(`${name} did not start. Its log ends:\n${await tailOf(log)}`)
}

/** Last lines of a file. */
export async function tailOf(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-15).join('\n')
}
