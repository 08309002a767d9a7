/**
 * All commands: Umzug's own, extended, and the families beside them.
 * @module
 */
import { type CommandLineAction, CommandLineParameterKind } from '@rushstack/ts-command-line'
import { type Runner, UmzugCLI } from '../migrations/runner.ts'
import { optionsFirst } from './arguments.ts'
import { indexActions } from './indexes.ts'
import { logAction } from './log.ts'
import { createAction, downAction, upAction } from './migrations.ts'
import { planAction } from './plan.ts'
import { queueActions } from './queue.ts'
import type { Session } from './session.ts'
import { statusAction } from './status.ts'

const description = `SQL migrations, search indexes and every changed row in search, without downtime.
The config is umzug.config.{ts,mts,cts,js,mjs,cjs} in this folder or above it; --config PATH names another. With several databases, --database NAME means one of them.
--verbose shows the stack of an error; --no-wait fails at once where another run holds the run lock. Exit codes: 0 done, 1 failed, 2 wrong command line (plan: something to do), 130 stopped by a signal.`

/** The parser with every command. */
export interface Cli extends UmzugCLI {
  /** Puts the arguments in the order the parser needs. */
  arrange(args: readonly string[]): string[]
}

/** Makes the parser; no config is loaded before a command runs. */
export function createCli(session: Session): Cli {
  const extended: Record<string, (session: Session) => CommandLineAction> = {
    up: upAction,
    down: downAction,
    create: createAction,
  }
  class Parser extends UmzugCLI implements Cli {
    override addAction(action: CommandLineAction): void {
      super.addAction(extended[action.actionName]?.(session) ?? action)
    }

    arrange(args: readonly string[]): string[] {
      const action = this.tryGetAction(args[0] ?? '')
      return action?.remainder ? optionsFirst(args, flagsOf(action)) : [...args]
    }
  }
  const cli = new Parser(lazyUmzug(session), { toolFileName: 'umzug', toolDescription: description })
  for (
    const each of [
      ...indexActions(session),
      ...queueActions(session),
      logAction(session),
      statusAction(session),
      planAction(session),
    ]
  ) {
    cli.addAction(each)
  }
  for (const each of [cli, ...cli.actions]) omitUsage(each)
  return cli
}

// What Umzug's own list actions call; the config is loaded by the first call.
function lazyUmzug(session: Session): Runner {
  const ofAll = async <T>(list: (umzug: Runner) => Promise<T[]>) => {
    const all: T[] = []
    for (const { umzug } of Object.values((await session.open()).databases)) all.push(...await list(umzug))
    return all
  }
  const umzug = {
    options: {},
    pending: () => ofAll((each) => each.pending()),
    executed: () => ofAll((each) => each.executed()),
  }
  return umzug as unknown as Runner
}

// On a wrong command line the parser writes its usage to standard output, into the JSON that a program reads from there.
function omitUsage(owner: object): void {
  const { _getArgumentParser } = owner as { _getArgumentParser(): { printUsage(): void } }
  _getArgumentParser.call(owner).printUsage = () => {}
}

function flagsOf(action: CommandLineAction): Set<string> {
  const flags = action.parameters.filter((each) => each.kind === CommandLineParameterKind.Flag)
  const names = flags.flatMap((each) => [each.longName, each.shortName ?? each.longName])
  return new Set(['--help', '-h', ...names])
}
