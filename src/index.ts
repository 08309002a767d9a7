/**
 * Zero-downtime SQL migrations, search indexes, and every changed row in search, for Sequelize, PostgreSQL and
 * Elasticsearch.
 *
 * ```ts
 * const search = elasticUmzug(config)
 * await search.start()
 * await client.search({ index: search.alias('books'), q: 'sea' })
 * await search.stop()
 * ```
 * @module
 */
export {
  type CaptureMode,
  type Config,
  type DatabaseConfig,
  defineConfig,
  type MigrationStorage,
  type OnBypass,
} from './config.ts'
export { defineIndex, type Definition, type DefinitionOptions } from './search/definition.ts'
export { fromSources } from './search/sources.ts'
export { type ComposeOptions, elasticUmzug } from './compose.ts'
export type { ElasticUmzug } from './plugin.ts'
export { ElasticUmzugError, type ErrorCode, errorCodes, type ErrorParts, NoAnswerError } from './errors.ts'
export type { Events, Listener } from './events.ts'
export type { IndexCommands } from './commands/indexes.ts'
export type { ActivateOptions } from './commands/activate.ts'
export type { ChangeOptions } from './commands/change.ts'
export type { CreateOptions } from './commands/create.ts'
export type { UpdateOptions } from './commands/update.ts'
export type { ChoiceOptions } from './commands/choice.ts'
export type { LoadOptions } from './search/load.ts'
export type { Diff } from './commands/diff.ts'
export type { Plan, PlanSection, PlanStep } from './commands/plan.ts'
export type { Change } from './search/diff.ts'
export type { Cost } from './search/estimate.ts'
export type { Way } from './search/updateable.ts'
export type { ClearVersionsOptions } from './commands/clear.ts'
export type { DropOptions } from './commands/drop.ts'
export type { ListOptions, Uncreated, VersionStatus } from './commands/list.ts'
export type { PrefixOption } from './commands/prefix.ts'
export type { ForeignIndex, Held } from './search/inventory.ts'
export type { DropTargets } from './search/drop-targets.ts'
export type { TargetOptions } from './search/targets.ts'
export type { Verified, VerifyOptions } from './commands/verify.ts'
export type { Difference, Fault } from './search/compare.ts'
export type { Faults } from './search/repair.ts'
export type { QueueCommands, QueueStatus, QueueStatusOptions } from './commands/queue.ts'
export type { AbortedCount, AbortedOptions, ClearOptions, QueueSelection } from './commands/aborted.ts'
export type { CommandOptions } from './commands/base.ts'
export type { CapturedTable, CaptureStatus } from './commands/captured.ts'
export type { Problem } from './commands/problems.ts'
export type {
  AliasStatus,
  ClusterStatus,
  ServedVersion,
  Status,
  StatusOptions,
  TablesStatus,
  WaitingChanges,
} from './commands/status.ts'
export type { Unserved } from './queue/unserved.ts'
export type { Suspicion, SuspicionKind } from './search/suspicions.ts'
export type { OpenAction } from './store/runs.ts'
export type { MigrateDownOptions, MigrateUpOptions, UpOptions, UpResult } from './commands/up.ts'
export type { Converged } from './search/lifecycle.ts'
export type { Snapshot } from './search/definition.ts'
export { type Version, type VersionState, versionStates } from './search/versions.ts'
export type { ActionRow, ActionTree, LogFilter } from './store/action-log.ts'
export type { Migration } from './migration.ts'
export type {
  ContextExtras,
  CreateOptions as CreateMigrationOptions,
  Direction,
  DownOptions as RunnerDownOptions,
  MigrationArgument,
  MigrationContext,
  MigrationFunction,
  MigrationId,
  Runner,
  UpOptions as RunnerUpOptions,
} from './migrations/runner.ts'
export type {
  Child,
  Choice,
  Clock,
  Connection,
  Db,
  Dependency,
  Documents,
  KeyRange,
  PageSize,
  Queryable,
  Runtime,
  SearchAnswer,
  SearchClient,
  SearchRequest,
  Source,
  Table,
} from './ports.ts'
