/**
 * Actions of the families: short to write, alike to use.
 * @module
 */
import {
  CommandLineAction,
  type CommandLineFlagParameter,
  type CommandLineIntegerParameter,
  type CommandLineStringListParameter,
} from '@rushstack/ts-command-line'
import { ElasticUmzugError } from '../errors.ts'
import type { TargetOptions } from '../search/targets.ts'

/** What the command line gave. */
export interface Given {
  /** Names after the options. */
  names: readonly string[]
  flag(name: string): boolean
  /** Value of an option that takes a whole number. */
  number(name: string): number | undefined
  /** Values of an option that takes a text and may be given again and again. */
  texts(name: string): readonly string[]
  /** The value of such an option that may be given once. Throws `COMMAND_INVALID`. */
  text(name: string): string | undefined
}

/** How a command is described. */
export interface ActionParts {
  name: string
  summary: string
  documentation?: string
  /** What the names are; without it the command takes none. */
  names?: string
  /** Options without a value: `--json` → what it does. */
  flags?: Readonly<Record<string, string>>
  /** One-letter names of some of the options. */
  shorts?: Readonly<Record<string, `-${string}`>>
  /** Options with a whole number. */
  numbers?: Readonly<Record<string, string>>
  /** Options with a text, which may be given again and again. */
  texts?: Readonly<Record<string, string>>
  run(given: Given): Promise<void>
}

/** Makes an action. */
export function defineAction(parts: ActionParts): CommandLineAction {
  return new Action(parts)
}

class Action extends CommandLineAction {
  readonly #parts: ActionParts
  readonly #flags = new Map<string, CommandLineFlagParameter>()
  readonly #numbers = new Map<string, CommandLineIntegerParameter>()
  readonly #texts = new Map<string, CommandLineStringListParameter>()

  constructor(parts: ActionParts) {
    super({ actionName: parts.name, summary: parts.summary, documentation: parts.documentation ?? parts.summary })
    this.#parts = parts
  }

  override onDefineParameters(): void {
    const { flags = {}, shorts = {}, numbers = {}, texts = {}, names } = this.#parts
    for (const [parameterLongName, description] of Object.entries(flags) as [`--${string}`, string][]) {
      const short = shorts[parameterLongName]
      const named = { parameterLongName, ...(short && { parameterShortName: short }), description }
      this.#flags.set(parameterLongName, this.defineFlagParameter(named))
    }
    for (const [parameterLongName, description] of Object.entries(numbers) as [`--${string}`, string][]) {
      const parameter = this.defineIntegerParameter({ parameterLongName, description, argumentName: 'COUNT' })
      this.#numbers.set(parameterLongName, parameter)
    }
    for (const [parameterLongName, description] of Object.entries(texts) as [`--${string}`, string][]) {
      const argumentName = parameterLongName.slice(2).toUpperCase()
      this.#texts.set(
        parameterLongName,
        this.defineStringListParameter({ parameterLongName, description, argumentName }),
      )
    }
    if (names) this.defineCommandLineRemainder({ description: names })
  }

  override async onExecute(): Promise<void> {
    for (const [name, { value = 0 }] of this.#numbers) if (value < 0) throw notNegative(this.actionName, name, value)
    await this.#parts.run({
      names: this.remainder?.values ?? [],
      flag: (name) => this.#flags.get(name)?.value ?? false,
      number: (name) => this.#numbers.get(name)?.value,
      texts: (name) => this.#texts.get(name)?.values ?? [],
      text: (name) => this.#text(name),
    })
  }

  #text(name: string): string | undefined {
    const { values = [] } = this.#texts.get(name) ?? {}
    if (values.length < 2) return values[0]
    throw new ElasticUmzugError('COMMAND_INVALID', `${name} was given more than once.`, {
      next: `npx umzug ${this.actionName} --help`,
    })
  }
}

function notNegative(command: string, name: string, value: number): ElasticUmzugError {
  return new ElasticUmzugError('COMMAND_INVALID', `${name} is ${value}, and cannot be below 0.`, {
    next: `npx umzug ${command} --help`,
  })
}

/** What the names of most commands are. */
export const indexNames: string = 'Names of indexes; none means all that the config defines.'

/** Flags that say which versions a command is about, beside its names: see `TargetOptions`. */
export const targetFlags: Readonly<Record<string, string>> = {
  '--all': 'Every index, as if all were named.',
  '--all-active': 'Every index that has an active version.',
  '--latest': 'The newest version instead of the active one.',
  '--older': 'The versions before the active one, or before the one that is named.',
  '--newer': 'The versions after the active one, or after the one that is named.',
}

/** Reads those flags. */
export function targetsOf({ flag }: Given): TargetOptions {
  return {
    all: flag('--all'),
    allActive: flag('--all-active'),
    latest: flag('--latest'),
    older: flag('--older'),
    newer: flag('--newer'),
  }
}

/** The flag of every command that changes something. */
export const dryRun: Readonly<Record<string, string>> = {
  '--dry-run': 'Prints what would be done, and changes nothing.',
}
