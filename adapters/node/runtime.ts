/**
 * The Node runtime.
 * @module
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { hostname, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import type { Child, Runtime } from '../../src/ports.ts'
import { monotonicClock } from '../clock.ts'
import { ask } from './ask.ts'
import { loadModule } from './load.ts'
import { runProgram } from './program.ts'

/** What Node gives the core. */
export function nodeRuntime(): Runtime {
  return {
    name: 'node',
    argv: process.argv.slice(2),
    pid: process.pid,
    cwd: () => process.cwd(),
    hostname,
    user: userName,
    env: (name) => process.env[name],
    run: runProgram,
    readText: (path) => readFile(path, 'utf8'),
    writeText: async (path, text) => {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, text)
    },
    exists: (path) => Promise.resolve(existsSync(path)),
    resolve: (...parts) => resolve(...parts),
    dirname,
    load: loadModule,
    preload,
    write: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
    isTerminal: process.stdout.isTTY === true,
    ask,
    onStop,
    startAgain,
    exit: (code) => process.exit(code),
    clock: monotonicClock,
  }
}

function startAgain(args: readonly string[], env: Readonly<Record<string, string>>): Child {
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('exit', resolve)
  })
  return { ended, stop: () => void child.kill('SIGTERM') }
}

// A container may run under a number that has no name.
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? '')
  }
}

async function preload(modules: readonly string[]): Promise<void> {
  const require = createRequire(join(process.cwd(), 'package.json'))
  for (const each of modules) {
    const path = require.resolve(each)
    try {
      require(path)
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_REQUIRE_ESM') throw error
      await import(pathToFileURL(path).href)
    }
  }
}

function onStop(callback: (signal: string) => void): () => void {
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const each of signals) process.on(each, callback)
  return () => {
    for (const each of signals) process.off(each, callback)
  }
}
