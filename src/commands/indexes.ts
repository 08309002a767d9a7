/**
 * Commands on index versions, each also a method.
 * @module
 */
import type { Definition } from '../search/definition.ts'
import { converge, type Converged } from '../search/lifecycle.ts'
import type { ForeignIndex } from '../search/inventory.ts'
import type { Version } from '../search/versions.ts'
import { type ActivateOptions, activateVersions } from './activate.ts'
import type { Base, Run } from './base.ts'
import type { ChangeOptions } from './change.ts'
import { clearVersions, type ClearVersionsOptions } from './clear.ts'
import { type CreateOptions, createVersions } from './create.ts'
import { type Diff, diffVersions } from './diff.ts'
import { type DropOptions, dropVersions } from './drop.ts'
import { fillRecorded } from './fill.ts'
import { dropForeign, listForeign } from './foreign.ts'
import { type ListOptions, listStatus, listUncreated, type Uncreated, type VersionStatus } from './list.ts'
import { lookNow } from './look.ts'
import { commandsOff } from './off.ts'
import { resetIndexes } from './reset.ts'
import { type UpdateOptions, updateVersions } from './update.ts'
import { type Verified, type VerifyOptions, verifyVersions } from './verify.ts'

/** The commands on index versions. */
export interface IndexCommands {
  /** Every version that is not dropped, or the chosen ones: `name` means all its versions. */
  list(names?: readonly string[], options?: ListOptions): Promise<VersionStatus[]>
  /** The definitions (default: all) that no version was made from yet. */
  listUncreated(names?: readonly string[]): Promise<Uncreated[]>
  /** The indexes of the cluster that are no versions of this environment, but for hidden ones and dot indexes. */
  listForeign(): Promise<ForeignIndex[]>
  /**
   * Compares two definitions: `[]`: of every index its active version with the code; `['books']`: of this one; `['books', A, B]`: two of
   * `books@N`, physical names, `code` and `live`, which is what the cluster has. See `Diff`.
   */
  diff(names?: readonly string[]): Promise<Diff[]>
  /** Creates a version for each named definition (default: all) that has none. */
  create(names?: readonly string[], options?: CreateOptions): Promise<Version[]>
  /**
   * Fills the version of each named definition (default: all) until it is ready; one that is complete is refreshed while it
   * serves: every row is read and written again, and documents without a row are deleted. `name@N`, physical names and the
   * options choose other versions, and some of the rows. Goes on where it was stopped or killed.
   */
  update(names?: readonly string[], options?: UpdateOptions): Promise<Version[]>
  /** Points the alias at `name` (its newest complete version), `name@N` or a physical name. Default: all definitions. */
  activate(targets?: readonly string[], options?: ActivateOptions): Promise<Version[]>
  /**
   * Compares every document of `name` (its active version), `name@N` or a physical name with its row, and repairs what
   * differs if asked. Default: every complete version that this code has the definition of.
   * Throws `VERIFY_FAILED` when differences remain.
   */
  verify(targets?: readonly string[], options?: VerifyOptions): Promise<Verified[]>
  /**
   * Drops `name@N` and physical names, and, with `force`, all versions of a `name`: at once they get no changes any more;
   * their physical indexes are deleted when no request to them can be under way, after a `leaseMs`. It waits for that, but for
   * inside a migration; stopped or killed, any worker or command goes on. They stay on record. Gives those that it dropped.
   * Throws `COMMAND_INVALID` for the active version, unless `force` is given: then its alias goes with it.
   */
  drop(targets: readonly string[], options?: DropOptions): Promise<Version[]>
  /**
   * Deletes all documents of `name` (its active version, with `force`), `name@N` or a physical name; their indexes stay.
   * Documents of rows that are written meanwhile stand. A version that is not active is `created` again: it has to be filled.
   */
  clear(targets: readonly string[], options?: ClearVersionsOptions): Promise<Version[]>
  /**
   * Drops all versions of the named indexes (default: all of this prefix) and builds and activates new ones. Readers go on
   * with the old version until then. Started again after it was killed, it begins anew.
   */
  reset(names?: readonly string[], options?: ChangeOptions): Promise<Converged[]>
  /** Deletes indexes that are not ours, by their exact names. Throws `COMMAND_INVALID`, `DEFINITION_UNKNOWN`. */
  dropForeign(names: readonly string[], options?: ChangeOptions): Promise<ForeignIndex[]>
}

/** The commands; with `within` they take part in an action that already holds the run lock. */
export function indexCommands(base: Base, within?: Run): IndexCommands {
  const commands: IndexCommands = {
    list: (names, options) => listStatus(base, names, options),
    listUncreated: (names) => listUncreated(base, names),
    listForeign: () => listForeign(base),
    drop: (targets, options = {}) => dropVersions(base, within, targets, options),
    clear: (targets, options = {}) => clearVersions(base, within, targets, options),
    reset: (names = [], options = {}) => resetIndexes(base, within, names, options),
    dropForeign: (names, options = {}) => dropForeign(base, names, options),
    diff: (names) => diffVersions(base, names),
    create: (names = [], options = {}) => createVersions(base, within, names, options),
    update: (names = [], options = {}) => updateVersions(base, within, names, options),
    activate: (targets = [], options = {}) => activateVersions(base, within, targets, options),
    verify: (targets, options) => verifyVersions(base, targets, options),
  }
  return base.off ? commandsOff(base.runtime, commands, ['list', 'listUncreated', 'listForeign', 'diff']) : commands
}

/** Every definition: create, populate, verify, activate where that is not done yet. Part of `up`. */
export async function convergeIndexes(base: Base, run: Run, activating: boolean): Promise<Converged[]> {
  await lookNow(base, run.say, run.signal)
  const fill = (version: Version, definition: Definition) => fillRecorded(base, run, version, definition)
  return await converge({ ...base.lifecycle(run), fill }, activating)
}
