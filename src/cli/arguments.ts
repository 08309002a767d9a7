/**
 * What is done to the arguments before the parser gets them.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'

/** Options that stand anywhere on the command line. */
export interface Globals {
  config: string | undefined
  verbose: boolean
  /** What `--database` names. */
  database: string | undefined
  /** False where `--no-wait` was given. */
  wait: boolean
  /** `--version`, as the only argument. */
  version: boolean
  /** What is left. */
  args: string[]
}

/** Takes `--config PATH`, `--database NAME`, `--verbose` and `--no-wait` out. Throws `COMMAND_INVALID` when a value is missing. */
export function splitGlobals(argv: readonly string[]): Globals {
  const globals: Globals = {
    config: undefined,
    database: undefined,
    verbose: false,
    wait: true,
    version: argv[0] === '--version',
    args: [],
  }
  for (let at = 0; at < argv.length; at++) {
    const each = argv[at]!
    if (each === '--verbose') globals.verbose = true
    else if (each === '--no-wait') globals.wait = false
    else if (each.startsWith('--config=')) globals.config = assertPath(each.slice('--config='.length))
    else if (each === '--config') globals.config = assertPath(argv[++at])
    else if (each.startsWith('--database=')) globals.database = assertDatabase(each.slice('--database='.length))
    else if (each === '--database') globals.database = assertDatabase(argv[++at])
    else globals.args.push(each)
  }
  return globals
}

function assertPath(path: string | undefined): string {
  if (path && !path.startsWith('-')) return path
  throw new ElasticUmzugError('COMMAND_INVALID', '--config needs a path.', { next: 'npx umzug --config PATH COMMAND' })
}

function assertDatabase(name: string | undefined): string {
  if (name && !name.startsWith('-')) return name
  throw new ElasticUmzugError('COMMAND_INVALID', '--database needs a name.', {
    next: 'npx umzug --database NAME COMMAND',
  })
}

/**
 * Puts the options of a command before its names, because the parser takes everything from the first name on as names:
 * `es:create books --force` becomes `es:create --force books`. `flags` are the options without a value.
 */
export function optionsFirst([command, ...rest]: readonly string[], flags: ReadonlySet<string>): string[] {
  if (command === undefined) return []
  const options: string[] = []
  const names: string[] = []
  for (let at = 0; at < rest.length; at++) {
    const each = rest[at]!
    if (!each.startsWith('-')) names.push(each)
    else {
      options.push(each)
      if (!flags.has(each) && !each.includes('=') && at + 1 < rest.length) options.push(rest[++at]!)
    }
  }
  return [command, ...options, ...names]
}
