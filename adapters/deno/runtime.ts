/**
 * The Deno runtime.
 * @module
 */
import { createRequire } from 'node:module'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Child, Runtime } from '../../src/ports.ts'
import { monotonicClock } from '../clock.ts'
import { ask } from '../node/ask.ts'
import { loadModule } from '../node/load.ts'
import { runProgram } from '../node/program.ts'

/** The members of Deno that are used: declared here, so that the same source compiles for Node. */
interface DenoLike {
  args: string[]
  pid: number
  mainModule: string
  execPath(): string
  Command: new (program: string, options: object) => {
    spawn(): { status: Promise<{ code: number; signal: string | null }>; kill(signal: string): void }
  }
  exit(code: number): never
  cwd(): string
  env: { get(name: string): string | undefined }
  permissions: { query(wanted: { name: 'run'; command: string }): Promise<{ state: string }> }
  hostname(): string
  readTextFile(path: string): Promise<string>
  writeTextFile(path: string, text: string): Promise<void>
  mkdir(path: string, options: { recursive: boolean }): Promise<void>
  stat(path: string): Promise<unknown>
  stdout: { writeSync(bytes: Uint8Array): number; isTerminal(): boolean }
  stderr: { writeSync(bytes: Uint8Array): number }
  addSignalListener(signal: string, listener: () => void): void
  removeSignalListener(signal: string, listener: () => void): void
}

/** What Deno gives the core. */
export function denoRuntime(): Runtime {
  const deno = (globalThis as unknown as { Deno: DenoLike }).Deno
  const encoder = new TextEncoder()
  return {
    name: 'deno',
    argv: deno.args,
    pid: deno.pid,
    cwd: () => deno.cwd(),
    hostname: () => deno.hostname(),
    user: userName,
    env: (name) => envOf(deno, name),
    run: async (program, args, folder) =>
      await mayRun(deno, program) ? await runProgram(program, args, folder) : undefined,
    readText: (path) => deno.readTextFile(path),
    writeText: async (path, text) => {
      await deno.mkdir(dirname(path), { recursive: true })
      await deno.writeTextFile(path, text)
    },
    exists: (path) => deno.stat(path).then(() => true, () => false),
    resolve: (...parts) => resolve(...parts),
    dirname,
    load: loadModule,
    preload,
    write: (text) => void deno.stdout.writeSync(encoder.encode(text)),
    writeError: (text) => void deno.stderr.writeSync(encoder.encode(text)),
    isTerminal: deno.stdout.isTerminal(),
    ask,
    onStop: (callback) => onStop(deno, callback),
    startAgain: (args, env) => startAgain(deno, args, env),
    exit: (code) => deno.exit(code),
    clock: monotonicClock,
  }

  async function preload(modules: readonly string[]): Promise<void> {
    const require = createRequire(join(deno.cwd(), 'package.json'))
    for (const each of modules) await loadModule(require.resolve(each))
  }
}

// Which permissions this process has it cannot tell; but that it may start programs, it must have been given.
function startAgain(deno: DenoLike, args: readonly string[], env: Readonly<Record<string, string>>): Child {
  const child = new deno.Command(deno.execPath(), {
    args: ['run', '-A', '--no-lock', deno.mainModule, ...args],
    env,
    stdin: 'null',
    stdout: 'null',
    stderr: 'inherit',
  }).spawn()
  return {
    ended: child.status.then(({ code, signal }) => signal === null ? code : null),
    stop: () => child.kill('SIGTERM'),
  }
}

function onStop(deno: DenoLike, callback: (signal: string) => void): () => void {
  const listeners = ['SIGINT', 'SIGTERM'].map((signal) => ({ signal, listener: () => callback(signal) }))
  for (const { signal, listener } of listeners) deno.addSignalListener(signal, listener)
  return () => {
    for (const { signal, listener } of listeners) deno.removeSignalListener(signal, listener)
  }
}

// Asked first: Deno itself would ask the user.
async function mayRun(deno: DenoLike, command: string): Promise<boolean> {
  return (await deno.permissions.query({ name: 'run', command })).state === 'granted'
}

// Without the permission a program runs as if nothing were set.
function envOf(deno: DenoLike, name: string): string | undefined {
  try {
    return deno.env.get(name)
  } catch {
    return undefined
  }
}

// A container may run under a number that has no name; and asking needs a permission.
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}
