/**
 * The command line.
 * @module
 */
import { ElasticUmzugError, isOwnError, messageOf, stackOf } from '../errors.ts'
import type { Runtime } from '../ports.ts'
import { redact } from '../redact.ts'
import { version } from '../version.ts'
import { type Globals, splitGlobals } from './arguments.ts'
import { createCli } from './commands.ts'
import { type Compose, openSession, type Session } from './session.ts'

/** Exit codes: the same for every command. `plan` ends with 2 where there is something to do. */
export const exitCodes = { done: 0, failed: 1, usage: 2, stopped: 130 } as const

/** Runs one command line and ends the process with its exit code. A second signal ends it at once. */
export async function main(runtime: Runtime, compose: Compose): Promise<void> {
  const stop = new AbortController()
  runtime.onStop(() => {
    if (stop.signal.aborted) runtime.exit(exitCodes.stopped)
    runtime.writeError('\nstopping at the next checkpoint; once more to end at once\n')
    stop.abort()
  })
  runtime.exit(await runCli(runtime, compose, stop.signal))
}

/** Runs one command line; gives its exit code. Errors are printed with their code and the next step. */
export async function runCli(runtime: Runtime, compose: Compose, signal: AbortSignal): Promise<number> {
  let globals: Globals | undefined
  let session: Session | undefined
  try {
    globals = splitGlobals(runtime.argv)
    if (globals.version) return print(runtime, version)
    session = openSession({
      runtime,
      compose,
      configPath: globals.config,
      signal,
      wait: globals.wait,
      database: globals.database,
    })
    await execute(session, globals)
    return session.exitCode
  } catch (error) {
    return fail(runtime, error, globals)
  } finally {
    await session?.close()
  }
}

function print(runtime: Runtime, line: string): number {
  runtime.write(`${line}\n`)
  return exitCodes.done
}

async function execute(session: Session, { args }: Globals): Promise<void> {
  const cli = createCli(session)
  try {
    await cli.executeWithoutErrorHandling(cli.arrange(args))
  } catch (error) {
    if (!isUsage(error)) throw error
    const what = error.message.trim().split('\n').at(-1)!.replace(/^.*?[Ee]rror: /, '')
    const command = cli.tryGetAction(args[0] ?? '')?.actionName
    throw new ElasticUmzugError('COMMAND_INVALID', `The command line is wrong: ${what}`, {
      next: ['npx umzug', command, '--help'].filter(Boolean).join(' '),
    })
  }
}

function isUsage(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  // Umzug's actions throw plain errors for options that exclude each other.
  return typeof (error as { exitCode?: unknown }).exitCode === 'number' || /^Can't specify '/.test(error.message)
}

function fail(runtime: Runtime, error: unknown, globals: Globals | undefined): number {
  const { code, text } = describe(error)
  runtime.writeError(`error ${code}: ${redact(text)}\n`)
  if (globals?.verbose) runtime.writeError(`${redact(stackOf(error))}\n`)
  if (code === 'STOPPED') return exitCodes.stopped
  return code === 'COMMAND_INVALID' ? exitCodes.usage : exitCodes.failed
}

function describe(error: unknown): { code: string; text: string } {
  if (isOwnError(error) && error.next) return { code: error.code, text: error.message }
  const text = messageOf(error)
  const code = isOwnError(error) ? error.code : 'UNEXPECTED'
  return { code, text: `${text}\n  next: ${defaultNext[code] ?? 'run it again with --verbose for the stack'}` }
}

const defaultNext: Record<string, string | undefined> = {
  NO_ANSWER: 'check that Elasticsearch runs, then run the same command again; it goes on where this one stopped',
  COMMAND_INVALID: 'npx umzug --help',
}
