/**
 * `up`, `down` and `create`: Umzug's commands with all their options, and ours beside them.
 * @module
 */
import type {
  CommandLineAction,
  CommandLineFlagParameter,
  CommandLineStringParameter,
} from '@rushstack/ts-command-line'
import { ElasticUmzugError } from '../errors.ts'
import type { MigrateDownOptions, MigrateUpOptions } from '../commands/up.ts'
import { CreateAction, DownAction, type Runner, templateParameter, UpAction } from '../migrations/runner.ts'
import { counted } from '../commands/words.ts'
import { followProgress } from './progress.ts'
import type { Session } from './session.ts'

/** `umzug up`. */
export function upAction(session: Session): CommandLineAction {
  return new Up(session)
}

/** `umzug down`. */
export function downAction(session: Session): CommandLineAction {
  return new Down(session)
}

/** `umzug create`. */
export function createAction(session: Session): CommandLineAction {
  return new Create(session)
}

// Umzug's actions call the instance they are given; these stand in for it, and add what the options say.
function standIn(methods: object): Runner {
  return { options: {}, ...methods } as unknown as Runner
}

class Up extends UpAction {
  readonly #session: Session
  #noSearch!: CommandLineFlagParameter
  #noActivate!: CommandLineFlagParameter
  #dryRun!: CommandLineFlagParameter

  constructor(session: Session) {
    super(standIn({ up: (migrate: MigrateUpOptions) => this.#run(migrate) }))
    this.#session = session
    describe(this, 'Applies pending migrations, then builds and activates the search indexes whose definition changed')
  }

  override onDefineParameters(): void {
    super.onDefineParameters()
    this.#noSearch = flag(this, '--no-search', 'Applies SQL migrations only; the search indexes stay as they are.')
    this.#noActivate = flag(
      this,
      '--no-activate',
      'Prepares new index versions until they are ready, and leaves the alias.',
    )
    this.#dryRun = flag(this, '--dry-run', 'Prints what would be done, and changes nothing.')
  }

  async #run(migrate: MigrateUpOptions): Promise<unknown[]> {
    assertStep(migrate)
    const { print, signal, runtime } = this.#session
    const plugin = await this.#session.open()
    const options = { migrate, search: !this.#noSearch.value, activate: !this.#noActivate.value, onLine: print, signal }
    if (this.#dryRun.value) {
      for (const line of await plugin.planUp(options)) print(line)
      return []
    }
    const end = followProgress(plugin, runtime)
    const { migrations, indexes } = await plugin.up(options).finally(end)
    const changed = indexes.filter((each) => each.outcome !== 'unchanged')
    print(
      `up: ${counted(migrations.length, 'migration')} applied, ${counted(changed.length, 'index', 'indexes')} changed`,
    )
    return migrations
  }
}

class Down extends DownAction {
  readonly #session: Session
  #dryRun!: CommandLineFlagParameter

  constructor(session: Session) {
    super(standIn({ down: (migrate: MigrateDownOptions) => this.#run(migrate) }))
    this.#session = session
  }

  override onDefineParameters(): void {
    super.onDefineParameters()
    this.#dryRun = flag(this, '--dry-run', 'Prints what would be reverted, and changes nothing.')
  }

  async #run(migrate: MigrateDownOptions): Promise<unknown[]> {
    assertStep(migrate)
    const { print, signal } = this.#session
    const plugin = await this.#session.open()
    if (this.#dryRun.value) {
      for (const line of await plugin.planDown(migrate)) print(line)
      return []
    }
    const reverted = await plugin.down(migrate, { onLine: print, signal })
    print(`down: ${counted(reverted.length, 'migration')} reverted`)
    return reverted
  }
}

class Create extends CreateAction {
  readonly #session: Session
  #template!: CommandLineStringParameter

  constructor(session: Session) {
    super(standIn({ create: (options: Parameters<Runner['create']>[0]) => this.#run(options) }))
    this.#session = session
  }

  override onDefineParameters(): void {
    super.onDefineParameters()
    this.#template = this.defineStringParameter(templateParameter)
  }

  async #run(options: Parameters<Runner['create']>[0]): Promise<void> {
    const { umzug } = await this.#session.open()
    await umzug.create({ ...options, template: this.#template.value })
  }
}

// Umzug cuts a list with it: below 0 it would mean all but the last ones.
function assertStep(migrate: MigrateUpOptions | MigrateDownOptions): void {
  const { step = 1 } = migrate as { step?: number }
  if (step >= 1) return
  throw new ElasticUmzugError('COMMAND_INVALID', `--step is ${step}, and has to be 1 or more.`, {
    next: 'give --step 1 or more, or leave it out',
  })
}

// Umzug's actions describe only what they do by themselves.
function describe(action: CommandLineAction, text: string): void {
  Object.assign(action, { summary: text, documentation: `${text}. What was done before is not done again.` })
}

function flag(action: CommandLineAction, parameterLongName: string, description: string): CommandLineFlagParameter {
  return action.defineFlagParameter({ parameterLongName, description })
}
